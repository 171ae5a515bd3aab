import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Row } from '../../src/frame/row.js'
import { measures } from '../../src/frame/measure.js'
import { type Column, column, measureColumns } from '../../src/view/column.js'

const [rx, tx] = measureColumns(measures) as [Column, Column]

const cases: readonly (readonly [Column, Partial<Row>, string])[] = [
  [column.pid, { pid: 4194304 }, '4194304'],
  [column.pid, { hostPid: 4711 }, '-'],
  [column.cgroup, { cgroup: '/system.slice/ssh.service' }, 'ssh.service'],
  [column.cgroup, { cgroup: '/a\x1b[m' }, '/a?[m'],
  [column.comm, { comm: 'exactly12chr' }, 'exactly12chr'],
  [column.comm, { comm: 'more than 12 chr' }, 'more than 12'],
  [column.comm, { comm: '\x1b]0;x\x07' }, '?]0;x?'],
  [column.comm, { comm: '🐧🐧🐧🐧' }, '🐧🐧🐧🐧'],
  [column.comm, { comm: 'データデータ7' }, 'データデータ'],
  [column.comm, { comm: 'aデータデータ' }, 'aデータデー'],
  [column.local, { laddr: '10.0.0.1', lport: 22 }, '10.0.0.1:22'],
  [column.remote, { raddr: '2001:db8::1', rport: 443 }, '2001:db8::1:443'],
  [column.host, { raddr: '::1' }, '::1'],
  [column.port, { port: 443 }, '443'],
  [rx, { rx: 0 }, '0'],
  [rx, { rx: 1023 }, '0'],
  [rx, { rx: 1024 }, '1'],
  [tx, { tx: 2047 }, '1'],
  [tx, { tx: 2 ** 32 + 1024 }, '4194305'],
  [tx, { tx: Number.MAX_SAFE_INTEGER }, '8796093022207'],
]

for (const [shown, fields, text] of cases) {
  test(`${shown.name} shows ${JSON.stringify(fields)} as ${JSON.stringify(text)}`, () => {
    assert.is(shown.text({ rx: 0, tx: 0, ...fields }), text)
  })
}

test.run()
