/**
 * How a process ends with a fault that nobody looked at; a child of smoke.ts.
 *
 *   ending.js FILE natural|exit|event
 */
import { map } from 'memmap';

const [path = '', how] = process.argv.slice(2);
const mapping = map(path);
mapping.bytes[0] = 1; // read-only
if (how === 'exit') process.exit();
if (how === 'event') setTimeout(() => console.log('it went on'), 10_000);
