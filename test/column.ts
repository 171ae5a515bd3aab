import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Column, column, printable } from '../src/column.js'
import type { Row } from '../src/row.js'

const cases: readonly (readonly [Column, Partial<Row>, string])[] = [
  [column.pid, { pid: 4194304 }, '4194304'],
  [column.pid, { hostPid: 4711 }, '-'],
  [column.cgroup, { cgroup: '/system.slice/ssh.service' }, 'ssh.service'],
  [column.cgroup, { cgroup: '/a\x1b[m' }, '/a?[m'],
  [column.comm, { comm: 'exactly12chr' }, 'exactly12chr'],
  [column.comm, { comm: 'more than 12 chr' }, 'more than 12'],
  [column.comm, { comm: '\x1b]0;x\x07' }, '?]0;x?'],
  [column.comm, { comm: '🐧🐧🐧🐧' }, '🐧🐧🐧🐧'],
  [column.local, { laddr: '10.0.0.1', lport: 22 }, '10.0.0.1:22'],
  [column.remote, { raddr: '2001:db8::1', rport: 443 }, '2001:db8::1:443'],
  [column.host, { raddr: '::1' }, '::1'],
  [column.port, { port: 443 }, '443'],
  [column.rx, { rx: 0 }, '0'],
  [column.rx, { rx: 1023 }, '0'],
  [column.rx, { rx: 1024 }, '1'],
  [column.tx, { tx: 2047 }, '1'],
  [column.tx, { tx: 2 ** 32 + 1024 }, '4194305'],
  [column.tx, { tx: Number.MAX_SAFE_INTEGER }, '8796093022207'],
]

for (const [shown, fields, text] of cases) {
  test(`${shown.name} shows ${JSON.stringify(fields)} as ${JSON.stringify(text)}`, () => {
    assert.is(shown.text({ rx: 0, tx: 0, ...fields }), text)
  })
}

for (const [title, text, expected] of [
  ['control characters', 'a\x00\t\n\x1b\x7f\x9bb', 'a??????b'],
  ['characters that turn the direction of what follows', 'a\u202eb\u2066', 'a?b?'],
  ['line separators', '\u2028\u2029', '??'],
  ['halves of characters', '\ud800x', '?x'],
] as const) {
  test(`${title} are not printed`, () => assert.is(printable(text), expected))
}

test('all that has a shape is printed', () => {
  for (const text of ['a b', 'kworker/0:1-ev', 'été', 'データ', '🐧', '\ufffd']) assert.is(printable(text), text)
})

test.run()
