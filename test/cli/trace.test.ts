import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTrace } from '#dist/cli/trace.js';

test('lines of the kernel become faults with their kind, and what was lost is counted', () => {
  const line = (address: string, code: string) =>
    `            node-4711    [001] d..1.  123.456789: page_fault_user: address=${address} ip=0x7f0000001000 error_code=${code}\n`;
  const text =
    line('0x7fd465600000', '0x4') +
    line('0x7fd465601000', '0x6') +
    'CPU:1 [LOST 12 EVENTS]\n' +
    line('0x7fd465602000', '0x7') +
    line('0x401000', '0x14') +
    '  node-4711 [000] .....  1.0: some_other_event: address=0x1\n';
  assert.deepEqual(parseTrace(text), {
    faults: [
      { address: 0x7fd465600000n, kind: 'read' },
      { address: 0x7fd465601000n, kind: 'write' },
      { address: 0x7fd465602000n, kind: 'copy' },
      { address: 0x401000n, kind: 'execute' },
    ],
    lost: 12,
  });
  assert.deepEqual(parseTrace(''), { faults: [], lost: 0 });
});
