// A reporter of node:test for test-runtimes.mjs: one line of JSON for each test that ended, the same
// from every version of Node. A file that died is a failed test with the file's path as its name.

export default async function* report(events) {
  const output = new Map();
  for await (const { type, data } of events) {
    if (type === 'test:stderr' || type === 'test:stdout') {
      output.set(data.file, `${output.get(data.file) ?? ''}${data.message}`.slice(-4000));
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const { name, file = name, skip, todo, details } = data;
    const failure = type === 'test:fail' ? details.error : undefined;
    // Its failed parts have been told.
    if (details.type === 'suite' || failure?.failureType === 'subtestsFailed') continue;
    const state = failure && todo === undefined ? 'failed' : 'passed';
    const line = { name, file, state: skip === undefined ? state : 'skipped' };
    if (state === 'failed') line.error = describe(failure, output.get(file));
    yield `${JSON.stringify(line)}\n`;
  }
}

function describe({ cause, exitCode, signal, message }, output = '') {
  const end = signal
    ? `died by ${signal}\n${output}`
    : exitCode
      ? `exit ${exitCode}\n${output}`
      : '';
  return end || String(cause?.stack ?? cause ?? message);
}
