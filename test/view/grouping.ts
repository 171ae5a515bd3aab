import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Measure, measures, offsetIn } from '../../src/frame/measure.js'
import type { Sort } from '../../src/frame/row.js'
import { Identity, RowLayout as At, Value } from '../../src/layout.js'
import { type Grouping, groupings, groupingsWith, together } from '../../src/view/grouping.js'
import { Random } from '../kit/random.js'

/** Where the row is in the buffer: not at its start, so that a forgotten offset shows. */
const start = 40
const [rxAt, txAt] = measures.map(measure => offsetIn(measures, measure)) as [number, number]
const inRow = (offset: number) => start + At.identity + offset - Identity.start

const named = (name: string): Grouping => groupings.find(grouping => grouping.name === name)!

interface Bytes {
  readonly pid: number
  readonly comm: Uint8Array
  readonly laddr: Uint8Array
  readonly raddr: Uint8Array
  readonly family: number
}

const ipv4 = (...last: number[]) => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...last)
const name = (text: string) => Buffer.from(text)

/** A row as WASM writes it: ports 22, 50000 and service 443; 2^40 + 1 bytes received, 5 sent. */
function rowView(change: Partial<Bytes> = {}): DataView {
  const fields: Bytes = {
    pid: 1234, comm: name('sshd'), laddr: ipv4(10, 0, 0, 1), raddr: ipv4(10, 0, 0, 2), family: 4, ...change,
  }
  const bytes = new Uint8Array(start + At.amounts + 8 * 9)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(start + rxAt, 2n ** 40n + 1n, true)
  view.setBigUint64(start + txAt, 5n, true)
  view.setBigUint64(start + At.total, 2n ** 40n + 6n, true)
  view.setUint32(inRow(Value.pid), fields.pid, true)
  bytes.set(fields.comm, inRow(Value.comm))
  bytes.set(fields.laddr, inRow(Value.laddr))
  bytes.set(fields.raddr, inRow(Value.raddr))
  view.setUint16(inRow(Value.lport), 22)
  view.setUint16(inRow(Value.rport), 50000)
  view.setUint16(inRow(Value.service), 443)
  view.setUint16(inRow(Value.family), fields.family, true)
  view.setUint32(inRow(Value.netns), 4026531840, true)
  view.setUint32(inRow(Value.cgroup), 2 ** 32 - 7, true)
  return view
}

const counters = { rx: 2 ** 40 + 1, tx: 5 }

for (const [by, row] of [
  ['connection', {
    pid: 1234, comm: 'sshd', family: 4, laddr: '10.0.0.1', lport: 22, raddr: '10.0.0.2', rport: 50000, cgroup: '4294967289', ...counters,
  }],
  ['process', { pid: 1234, comm: 'sshd', ...counters }],
  ['comm', { comm: 'sshd', ...counters }],
  ['host', { raddr: '10.0.0.2', family: 4, ...counters }],
  ['port', { port: 443, ...counters }],
  ['cgroup', { cgroup: '4294967289', ...counters }],
] as const) {
  test(`a row by ${by} has what it is grouped by and nothing else, in the order of JSON`, () => {
    const decoded = named(by).decode(rowView(), start)
    assert.is(JSON.stringify(decoded), JSON.stringify(row))
    assert.equal(named(by).fields.map(({ name }) => name), Object.keys(row))
  })
}

for (const [by, parts] of [
  ['connection', [
    [Value.pid, 4], [Value.start, 8], [Value.laddr, 16], [Value.raddr, 16], [Value.lport, 2], [Value.rport, 2],
    [Value.family, 2], [Value.netns, 4], [Value.cgroup, 4],
  ]],
  ['process', [[Value.pid, 4], [Value.start, 8]]],
  ['comm', [[Value.comm, 16]]],
  ['host', [[Value.raddr, 16], [Value.family, 2]]],
  ['port', [[Value.service, 2]]],
  ['cgroup', [[Value.cgroup, 4]]],
] as const) {
  test(`the mask by ${by} covers its fields to the byte`, () => {
    const covered = (at: number) => parts.some(([offset, size]) => at >= offset && at < offset + size)
    const expected = Array.from({ length: Identity.size }, (_, index) => covered(Identity.start + index) ? 0xff : 0)
    assert.equal([...named(by).mask()], expected)
  })
}

test('a mask is the caller’s own', () => {
  named('port').mask().fill(0)
  assert.ok(named('port').mask().includes(0xff))
})

test('rows that differ only where the mask is zero decode alike, apart from their bytes and names', () => {
  const random = new Random()
  random.repeat(400, () => {
    const grouping = random.pick(groupings)
    const one = rowView({ pid: 1 + random.below(1000), family: random.pick([4, 6]) })
    const other = new DataView(one.buffer.slice(0))
    grouping.mask().forEach((mask, index) => {
      const at = start + At.identity + index
      const isName = index >= Value.comm - Identity.start && index < Value.comm - Identity.start + 16
      if (mask === 0 && !isName) other.setUint8(at, random.below(256))
    })
    assert.equal(grouping.decode(other, start), grouping.decode(one, start))
  })
})

test('IPv6 and its family are read', () => {
  const raddr = Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2)
  const row = named('host').decode(rowView({ raddr, family: 6 }), start)
  assert.equal(row, { raddr: '2001:db8::2', family: 6, ...counters })
})

for (const [title, comm, expected] of [
  ['ends at its NUL, whatever follows', Uint8Array.of(0x61, 0, 0x62), 'a'],
  ['may fill all 16 bytes', name('0123456789abcdef'), '0123456789abcdef'],
  ['may be empty', Uint8Array.of(), ''],
  ['keeps escape sequences', name('\x1b[2J'), '\x1b[2J'],
  ['keeps a byte order mark', name('\ufeffx'), '\ufeffx'],
  ['is valid text even when a character was cut in the middle', Uint8Array.of(0x61, 0xe2, 0x82), 'a\ufffd'],
] as const) {
  test(`a name ${title}`, () => assert.is(named('process').decode(rowView({ comm }), start).comm, expected))
}

const total: Sort = { offset: At.total, size: 8, order: 'descending' }
const rx: Sort = { offset: rxAt, size: 8, order: 'descending' }
const tx: Sort = { offset: txAt, size: 8, order: 'descending' }
const by = (offset: number, size: Sort['size']): Sort =>
  ({ offset: At.identity + offset - Identity.start, size, order: 'ascending' })
const common = { all: total, sent: tx, received: rx, rx_kb: rx, tx_kb: tx }

/** Sorts, of which some compare rows as they are shown. */
const sortsOf = ({ sorts }: Grouping) =>
  Object.fromEntries([...sorts].map(([name, { compare, ...sort }]) => [name, { ...sort, ...compare && { compare: true } }]))

for (const [grouping, sorts] of [
  ['connection', {
    ...common, pid: by(Value.pid, 4), comm: { ...by(Value.comm, 16), compare: true }, laddr: by(Value.laddr, 16), lport: by(Value.lport, 2),
    raddr: by(Value.raddr, 16), rport: by(Value.rport, 2),
  }],
  ['process', { ...common, pid: by(Value.pid, 4), comm: { ...by(Value.comm, 16), compare: true } }],
  ['comm', { ...common, comm: by(Value.comm, 16) }],
  ['host', { ...common, raddr: by(Value.raddr, 16) }],
  ['port', { ...common, port: by(Value.service, 2) }],
  ['cgroup', { ...common, cgroup: by(Value.cgroup, 4) }],
] as const) {
  test(`rows by ${grouping} sort by what they show`, () => {
    assert.equal(sortsOf(named(grouping)), sorts)
  })
}

test('connections and hosts are apart by family, processes, names, ports and cgroups are not', () => {
  assert.equal(groupings.map(({ name, byFamily }) => [name, byFamily]), [
    ['connection', true], ['process', false], ['comm', false], ['host', true], ['port', false], ['cgroup', false],
  ])
})

for (const [names, fields, columns, sorts, byFamily] of [
  ['comm,cgroup', ['comm', 'cgroup'], ['COMM', 'CGROUP'], ['comm', 'cgroup'], false],
  ['cgroup,comm', ['cgroup', 'comm'], ['CGROUP', 'COMM'], ['cgroup', 'comm'], false],
  ['host,port', ['raddr', 'family', 'port'], ['RADDR', 'PORT'], ['raddr', 'port'], true],
  ['process,cgroup', ['pid', 'comm', 'cgroup'], ['PID', 'COMM', 'CGROUP'], ['pid', 'comm', 'cgroup'], false],
  ['comm,process', ['comm', 'pid'], ['COMM', 'PID'], ['comm', 'pid'], false],
  ['host,connection', ['pid', 'comm', 'family', 'laddr', 'lport', 'raddr', 'rport', 'cgroup'], ['PID', 'COMM', 'LADDR', 'RADDR'],
    ['pid', 'comm', 'laddr', 'lport', 'raddr', 'rport'], true],
  ['connection,cgroup', ['pid', 'comm', 'family', 'laddr', 'lport', 'raddr', 'rport', 'cgroup'], ['PID', 'COMM', 'LADDR', 'RADDR', 'CGROUP'],
    ['pid', 'comm', 'laddr', 'lport', 'raddr', 'rport', 'cgroup'], true],
] as const) {
  test(`by ${names} a row has the fields of all, each once, and tells apart what any of them does`, () => {
    const parts = names.split(',').map(named)
    const grouping = together(parts)
    assert.is(grouping.name, names)
    assert.equal(grouping.fields.map(({ name }) => name), [...fields, 'rx', 'tx'])
    assert.equal(grouping.columns.map(({ name }) => name), [...columns, 'RX_KB', 'TX_KB'])
    assert.equal([...grouping.sorts.keys()].sort(), [...sorts, ...Object.keys(common)].sort())
    assert.is(grouping.byFamily, byFamily)
    const masks = parts.map(part => part.mask())
    assert.equal([...grouping.mask()], [...masks[0]!].map((byte, index) => byte | masks[1]![index]!))
    assert.equal(Object.keys(grouping.decode(rowView(), start)), grouping.fields.map(({ name }) => name))
  })
}

test('one grouping, however often it is named, is that', () => {
  for (const grouping of groupings) for (const count of [1, 2, 3]) assert.is(together(Array.from({ length: count }, () => grouping)), grouping)
})

test('a row by process has its name of now and sorts by that; where names are told apart, it keeps the one it was counted under', () => {
  const view = rowView()
  view.setBigUint64(inRow(Value.start), 77n, true)
  for (const [names, renames] of [
    ['process', true], ['connection', true], ['process,cgroup', true], ['process,port', true],
    ['comm', false], ['comm,cgroup', false], ['process,comm', false], ['comm,connection', false], ['host', false],
  ] as const) {
    const grouping = together(names.split(',').map(named))
    assert.is(grouping.startOf(view, start), renames ? 77n : undefined, names)
    assert.is(grouping.sorts.get('comm')?.compare !== undefined, renames, names)
  }
})

test('a gauge that is added to the list is a field, a column and a sort key of every grouping, with all that was there before it', () => {
  const list: readonly Measure[] = [...measures, { name: 'rtt', from: Value.opened, merge: 'max', unit: 'nanoseconds' }]
  const rtt = list[2]!
  const view = rowView()
  view.setBigUint64(start + offsetIn(list, rtt), 3_500_000n, true)
  for (const [index, grouping] of groupingsWith(list).entries()) {
    const before = groupings[index]!
    assert.equal(grouping.decode(view, start), { ...before.decode(view, start), rtt: 3_500_000 })
    assert.equal(grouping.columns.map(({ name }) => name), [...before.columns.map(({ name }) => name), 'RTT_MS'])
    assert.is(grouping.columns.at(-1)!.text(grouping.decode(view, start)), '3')
    assert.equal(sortsOf(grouping), { ...sortsOf(before), rtt_ms: { offset: offsetIn(list, rtt), size: 8, order: 'descending' } })
  }
})

test.run()
