import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Column, plainLines, tableLines } from '#dist/cli/table.js';

interface Row {
  size: number | null;
  name: string;
}
const columns: Column<Row>[] = [
  {
    label: 'SIZE',
    text: ({ size }) => (size === null ? '?' : `${size}K`),
    plain: ({ size }) => size,
  },
  { label: 'BAR', align: 'left', isPicture: true, text: () => '###' },
  { label: 'NAME', align: 'left', text: ({ name }) => name, style: () => 'red' },
];
const rows: Row[] = [
  { size: 12_345, name: 'a' },
  { size: null, name: 'a longer one' },
];

test('for people: figures right, words left, nothing behind the last', () => {
  const lines = tableLines(columns, rows, (_style, text) => text);
  assert.deepEqual(lines, ['  SIZE  BAR  NAME', '12345K  ###  a', '     ?  ###  a longer one']);
});

test('for programs: fields between tabs, without pictures, unknown is ?', () => {
  assert.deepEqual(plainLines(columns, rows), ['12345\ta', '?\ta longer one']);
});
