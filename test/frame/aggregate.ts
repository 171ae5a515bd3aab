import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Aggregate, type FlowMap, loadAggregate } from '../../src/frame/aggregate.js'
import { type Measure, measures, offsetIn } from '../../src/frame/measure.js'
import type { Sort } from '../../src/frame/row.js'
import { Flag, Identity, Key, Pid, RowLayout, Value } from '../../src/layout.js'
import { groupings } from '../../src/view/grouping.js'
import { type Random, seeded } from '../kit/random.js'

/** A flow as the kernel's map would hold it. */
interface Flow {
  readonly cookie: bigint
  readonly share: number
  gone: boolean
  tx: number
  rx: number
  pid: number
  /** When the process started. */
  start: bigint
  comm: string
  readonly raddr: number
  readonly rport: number
  readonly family: 4 | 6
  /** What a gauge shows, where one is read from `Value.opened`; and a counter in `Value.ended`. */
  gauge: number
  again: number
}

const nameOf = ({ cookie, share }: Pick<Flow, 'cookie' | 'share'>) => `${cookie}/${share}`

/** The kernel's map: an ordinary Map that is walked in batches, sometimes refusing a batch for want of room. */
class FakeMap implements FlowMap {
  readonly flows = new Map<string, Flow>()
  readonly deleted: string[] = []
  refusals = 0

  batch() {
    const left = [...this.flows.values()]
    const map = this
    return {
      get done() {
        return left.length === 0
      },
      next(keys: Uint8Array, values: Uint8Array) {
        if (map.refusals > 0) {
          map.refusals--
          throw Object.assign(new Error('too small'), { code: 'ENOSPC' })
        }
        const room = Math.min(keys.length / Key.size, values.length / Value.size)
        const some = left.splice(0, room)
        some.forEach((flow, index) => put(flow, keys.subarray(index * Key.size), values.subarray(index * Value.size)))
        return some.length
      },
    }
  }

  deleteBatch(keys: Uint8Array, count: number) {
    const view = new DataView(keys.buffer, keys.byteOffset)
    for (let index = 0; index < count; index++) {
      const name = nameOf({ cookie: view.getBigUint64(index * Key.size, true), share: view.getUint32(index * Key.size + Key.pid, true) })
      assert.ok(this.flows.delete(name), `${name} was deleted twice`)
      this.deleted.push(name)
    }
    return count
  }

  /** Entries have no order; from now on they come in another. */
  shuffle(random: Random) {
    const places = [...this.flows].map(entry => ({ entry, place: random.below(1 << 30) }))
    this.flows.clear()
    for (const { entry } of places.sort((one, other) => one.place - other.place)) this.flows.set(...entry)
  }

  /** Takes these flows out and puts each back at another place, as the kernel makes entries between others. */
  scatter(random: Random, names: readonly string[]) {
    const moved = names.map((name): [string, Flow] => [name, this.flows.get(name)!])
    for (const name of names) this.flows.delete(name)
    const order = [...this.flows].map(entry => [entry])
    for (const entry of moved) {
      if (order.length === 0) order.push([])
      random.pick(order).push(entry)
    }
    this.flows.clear()
    for (const entry of order.flat()) this.flows.set(...entry)
  }

  add(flow: Partial<Flow> & Pick<Flow, 'cookie'>): Flow {
    const whole: Flow = { share: 0, gone: false, tx: 0, rx: 0, pid: 7, start: 1n, comm: 'x', raddr: 1, rport: 1, family: 4, gauge: 0, again: 0, ...flow }
    this.flows.set(nameOf(whole), whole)
    return whole
  }
}

function put(flow: Flow, keyBytes: Uint8Array, valueBytes: Uint8Array): void {
  const key = new DataView(keyBytes.buffer, keyBytes.byteOffset)
  const value = new DataView(valueBytes.buffer, valueBytes.byteOffset)
  key.setBigUint64(Key.cookie, flow.cookie, true)
  key.setUint32(Key.pid, flow.share, true)
  key.setUint32(Key.pid + 4, 0, true)
  valueBytes.fill(0, 0, Value.size)
  value.setUint32(Value.flags, flow.gone ? Flag.gone : 0, true)
  value.setBigUint64(Value.tx, BigInt(flow.tx), true)
  value.setBigUint64(Value.rx, BigInt(flow.rx), true)
  value.setUint32(Value.pid, flow.pid, true)
  value.setBigUint64(Value.start, flow.start, true)
  valueBytes.set(new TextEncoder().encode(flow.comm).subarray(0, 15), Value.comm)
  value.setUint32(Value.raddr + 12, flow.raddr)
  value.setUint16(Value.rport, flow.rport)
  value.setUint16(Value.family, flow.family, true)
  value.setBigUint64(Value.opened, BigInt(flow.gauge), true)
  value.setBigUint64(Value.ended, BigInt(flow.again), true)
}

/** A mask of these parts of an identity. */
function maskOf(...fields: readonly (readonly [offset: number, size: number])[]): Uint8Array {
  const mask = new Uint8Array(Identity.size)
  for (const [offset, size] of fields) mask.fill(0xff, offset - Identity.start, offset - Identity.start + size)
  return mask
}

const at = (offset: number) => RowLayout.identity + offset - Identity.start
const byTotal: Sort = { offset: RowLayout.total, size: 8, order: 'descending' }

interface Shown {
  readonly rx: number
  readonly tx: number
  readonly pid: number
  readonly comm: string
  readonly raddr: number
  readonly rport: number
  readonly family: number
}

const [rxAt, txAt] = measures.map(measure => offsetIn(measures, measure)) as [number, number]

function read(rows: DataView, start: number): Shown {
  const rx = Number(rows.getBigUint64(start + rxAt, true))
  const tx = Number(rows.getBigUint64(start + txAt, true))
  assert.is(Number(rows.getBigUint64(start + RowLayout.total, true)), rx + tx)
  const comm = new Uint8Array(rows.buffer, rows.byteOffset + start + at(Value.comm), 16)
  return {
    rx, tx,
    pid: rows.getUint32(start + at(Value.pid), true),
    comm: new TextDecoder().decode(comm.subarray(0, comm.indexOf(0))),
    raddr: rows.getUint32(start + at(Value.raddr) + 12),
    rport: rows.getUint16(start + at(Value.rport)),
    family: rows.getUint16(start + at(Value.family), true),
  }
}

type Loaded = Aggregate & { readonly mask: Uint8Array }

async function load(mask: Uint8Array): Promise<Loaded> {
  return Object.assign(await loadAggregate(mask), { mask })
}

/** Finishes the frame and picks rows of it by all that was told apart. */
function take(aggregate: Loaded, limit: number, sort: Sort = byTotal, byFamily = false): Shown[] {
  aggregate.next()
  return aggregate.pick({ mask: aggregate.mask, sort, limit, byFamily, read })
}

const everything = maskOf([Value.pid, 4], [Value.laddr, 44])
const byProcess = maskOf([Value.pid, 4])

/** Rows of real groupings, of flows of one process id between two ends. */
async function shownBy(name: string, flows: readonly Partial<Flow>[]) {
  const grouping = groupings.find(grouping => grouping.name === name)!
  const map = new FakeMap()
  const aggregate = await load(grouping.mask())
  const added = flows.map((flow, index) => map.add({ ...flow, cookie: BigInt(index + 1) }))
  const frame = () => {
    aggregate.drain(map)
    return take(aggregate, 9).map(({ tx, comm }) => [tx, comm])
  }
  return { frame, flows: added }
}

for (const by of ['process', 'connection']) {
  test(`by ${by}, a process that was renamed between two flows is one row, with the name of a flow that changed in this frame`, async () => {
    const { frame, flows: [one, other] } = await shownBy(by, [{ tx: 1, comm: 'old' }, { tx: 2, comm: 'new' }])
    const [row, ...more] = frame()
    assert.equal([row![0], more], [3, []])
    one!.comm = 'newest'
    one!.tx += 10
    assert.equal(frame(), [[10, 'newest']])
    other!.tx += 5
    assert.equal(frame(), [[5, 'new']])
  })

  test(`by ${by}, two processes that had one id after the other are two rows`, async () => {
    const { frame } = await shownBy(by, [{ tx: 1, start: 1n }, { tx: 2, start: 2n ** 40n + 1n }, { tx: 3, start: 1n }])
    assert.equal(frame(), [[4, 'x'], [2, 'x']])
  })
}

test('by comm, processes of one name are one row, and bytes of earlier frames stay with the old name', async () => {
  const { frame, flows: [one] } = await shownBy('comm', [{ tx: 1, comm: 'a' }, { tx: 2, comm: 'b', pid: 8 }, { tx: 4, comm: 'a', pid: 9 }])
  assert.equal(frame(), [[5, 'a'], [2, 'b']])
  one!.comm = 'b'
  assert.equal(frame(), [])
  one!.tx += 7
  assert.equal(frame(), [[7, 'b']])
})

test('what was counted since the last frame is shown, and nothing twice', async () => {
  const map = new FakeMap()
  const aggregate = await load(everything)
  const flow = map.add({ cookie: 1n, tx: 5, rx: 6 })
  aggregate.drain(map)
  aggregate.drain(map)
  assert.equal(take(aggregate, 10), [{ rx: 6, tx: 5, pid: 7, comm: 'x', raddr: 1, rport: 1, family: 4 }])
  aggregate.drain(map)
  assert.equal(take(aggregate, 10), [])
  flow.tx += 2 ** 33
  aggregate.drain(map)
  assert.is(take(aggregate, 10)[0]?.tx, 2 ** 33)
})

test('a closed flow is deleted in the drain after the one that saw it closed, and its last bytes count', async () => {
  const map = new FakeMap()
  const aggregate = await load(everything)
  const flow = map.add({ cookie: 1n, tx: 5 })
  aggregate.drain(map)
  flow.gone = true
  aggregate.drain(map)
  assert.equal(map.deleted, [])
  flow.tx += 3
  aggregate.drain(map)
  assert.equal(map.deleted, ['1/0'])
  assert.is(aggregate.flows, 0)
  assert.is(aggregate.deleted, 1)
  assert.is(take(aggregate, 1)[0]?.tx, 8)
})

test('a flow that continues after it was seen closed is kept, and waits for another drain when it closes again', async () => {
  const map = new FakeMap()
  const aggregate = await load(everything)
  const flow = map.add({ cookie: 1n, tx: 5 })
  for (const gone of [false, true, false, true]) {
    flow.gone = gone
    aggregate.drain(map)
    assert.equal(map.deleted, [])
  }
  flow.tx += 3
  aggregate.drain(map)
  assert.equal(map.deleted, ['1/0'])
  assert.is(take(aggregate, 1)[0]?.tx, 8)
})

test('a process’ share is deleted after the socket’s own entry', async () => {
  const map = new FakeMap()
  const aggregate = await load(everything)
  map.add({ cookie: 9n, share: 5, tx: 2, pid: 5 })
  const main = map.add({ cookie: 9n, tx: 1 })
  for (let walk = 0; walk < 4; walk++) aggregate.drain(map)
  assert.equal(map.deleted, [])
  main.gone = true
  for (let walk = 0; walk < 4; walk++) aggregate.drain(map)
  assert.equal(map.deleted, ['9/0', '9/5'])
  assert.equal([aggregate.deleted, aggregate.ended], [2, 1])
  assert.is(aggregate.flows, 0)
  assert.equal(take(aggregate, 9).map(({ pid, tx }) => [pid, tx]), [[5, 2], [7, 1]])
})

test('flows without an owner and without bytes make no rows', async () => {
  const map = new FakeMap()
  const aggregate = await load(everything)
  map.add({ cookie: 1n, pid: Pid.nobody })
  aggregate.drain(map)
  assert.equal(take(aggregate, 9), [])
  assert.is(aggregate.flows, 1)
})

test('a batch that does not fit is requested again with a larger buffer', async () => {
  const map = new FakeMap()
  const aggregate = await load(everything)
  map.add({ cookie: 1n, tx: 5 })
  map.refusals = 6
  aggregate.drain(map)
  assert.is(take(aggregate, 1)[0]?.tx, 5)
})

test('rows sort by every field, and ties by what they moved', async () => {
  const map = new FakeMap()
  const aggregate = await load(everything)
  const flows: Partial<Flow>[] = [
    { tx: 10, rx: 1, pid: 30, comm: 'b', raddr: 0x0a000002, rport: 256 },
    { tx: 1, rx: 20, pid: 400, comm: 'a', raddr: 0x0a000001, rport: 255 },
    { tx: 5, rx: 5, pid: 2, comm: 'bb', raddr: 0x09ffffff, rport: 80 },
    { tx: 2, rx: 5, pid: 2, comm: 'bb', raddr: 0x0b000000, rport: 80 },
  ]
  flows.forEach((flow, index) => map.add({ ...flow, cookie: BigInt(index + 1) }))
  const orders: readonly (readonly [sort: Sort, order: number[]])[] = [
    [byTotal, [21, 11, 10, 7]],
    [{ offset: txAt, size: 8, order: 'descending' }, [11, 10, 7, 21]],
    [{ offset: rxAt, size: 8, order: 'descending' }, [21, 10, 7, 11]],
    [{ offset: at(Value.pid), size: 4, order: 'ascending' }, [10, 7, 11, 21]],
    [{ offset: at(Value.comm), size: 16, order: 'ascending' }, [21, 11, 10, 7]],
    [{ offset: at(Value.raddr), size: 16, order: 'ascending' }, [10, 21, 11, 7]],
    [{ offset: at(Value.rport), size: 2, order: 'ascending' }, [10, 7, 21, 11]],
  ]
  for (const [sort, order] of orders) {
    aggregate.drain(map)
    assert.equal(take(aggregate, 9, sort).map(({ rx, tx }) => rx + tx), order, `${sort.offset} ${sort.size}`)
    for (const flow of map.flows.values()) [flow.tx, flow.rx] = [flow.tx + flows[Number(flow.cookie) - 1]!.tx!, flow.rx + flows[Number(flow.cookie) - 1]!.rx!]
  }
})

test('rows that tie in everything keep their order, in whatever order the kernel hands them out', seeded(async random => {
  const map = new FakeMap()
  const aggregate = await load(everything)
  for (let cookie = 1n; cookie <= 40n; cookie++) {
    map.add({ cookie, tx: 1, pid: random.pick([1, 2]), raddr: random.below(1 << 20), rport: random.below(1 << 16) })
  }
  const shown = () => {
    aggregate.drain(map)
    return take(aggregate, 9).map(({ pid, raddr, rport }) => [pid, raddr, rport])
  }
  const first = shown()
  const order = [...map.flows.values()].map(({ pid, raddr, rport }) => [pid, raddr, rport] as const)
    .sort((one, other) => one[0] - other[0] || one[1] - other[1] || one[2] - other[2])
  assert.equal(first, order.slice(0, 9))
  for (let frame = 0; frame < 20; frame++) {
    map.shuffle(random)
    for (const flow of map.flows.values()) flow.tx += 1
    assert.equal(shown(), first)
  }
}))

test('the name of a process, which is no part of a row by host, does not change the order of rows that tie', async () => {
  const map = new FakeMap()
  const aggregate = await load(maskOf([Value.raddr, 16]))
  const flows = [1, 2, 3].map(raddr => map.add({ cookie: BigInt(raddr), raddr }))
  for (const names of [['a', 'b', 'c'], ['c', 'b', 'a']]) {
    flows.forEach((flow, index) => Object.assign(flow, { tx: flow.tx + 1, comm: names[index] }))
    aggregate.drain(map)
    assert.equal(take(aggregate, 3).map(({ raddr }) => raddr), [1, 2, 3])
  }
})

const masks = [
  { name: 'everything', mask: everything, key: (row: Shown) => [row.pid, row.raddr, row.rport, row.family].join() },
  { name: 'process', mask: byProcess, key: (row: Shown) => `${row.pid}` },
  { name: 'host', mask: maskOf([Value.raddr, 16], [Value.family, 2]), key: (row: Shown) => [row.raddr, row.family].join() },
  { name: 'nothing', mask: maskOf(), key: () => '' },
] as const

/** What the aggregate does, in the simplest words: bytes of every flow since the last frame, added up by group. */
function model(map: FakeMap, before: Map<string, { tx: number; rx: number }>, sums: Map<string, { rx: number; tx: number }>, key: (row: Shown) => string) {
  for (const [name, flow] of map.flows) {
    const { tx, rx } = before.get(name) ?? { tx: 0, rx: 0 }
    if (flow.tx === tx && flow.rx === rx) continue
    before.set(name, { tx: flow.tx, rx: flow.rx })
    const group = key({ ...flow })
    const sum = sums.get(group) ?? { rx: 0, tx: 0 }
    sums.set(group, { rx: sum.rx + flow.rx - rx, tx: sum.tx + flow.tx - tx })
  }
}

function evolve(map: FakeMap, random: Random, cookie: bigint): bigint {
  for (let fresh = random.below(40); fresh > 0; fresh--) {
    const common = { raddr: random.below(5), rport: random.below(3), family: random.pick([4, 6] as const), comm: random.pick(['a', 'bc']) }
    map.add({ ...common, cookie: ++cookie, pid: random.below(6) })
    for (let share = 1; random.chance(0.2); share++) map.add({ ...common, cookie, share, pid: share })
  }
  for (const flow of map.flows.values()) {
    const own = map.flows.get(nameOf({ cookie: flow.cookie, share: 0 }))
    if (own === undefined || own.gone) continue
    if (random.chance(0.3)) flow.tx += random.below(1 << random.below(30))
    if (random.chance(0.3)) flow.rx += random.below(1 << random.below(30))
  }
  for (const flow of map.flows.values()) if (flow.share === 0 && random.chance(0.2)) flow.gone = true
  return cookie
}

for (const { name, mask, key } of masks) {
  test(`grouped by ${name}, random flows that come, move bytes and go add up as in a simple model`, seeded(async random => {
    const map = new FakeMap()
    const aggregate = await load(mask)
    const before = new Map<string, { tx: number; rx: number }>()
    let cookie = 0n
    for (let frame = 0; frame < 150; frame++) {
      const sums = new Map<string, { rx: number; tx: number }>()
      for (let drains = 1 + random.below(3); drains > 0; drains--) {
        cookie = evolve(map, random, cookie)
        if (frame % 50 === 7) map.refusals = 1
        model(map, before, sums, key)
        aggregate.drain(map)
      }
      const byFamily = name === 'everything' || name === 'host' ? random.chance(0.5) : false
      const limit = random.pick([0, 1, 3, 10, Infinity])
      const all = [...sums].map(([group, { rx, tx }]) => ({ group, rx, tx }))
      const { total } = aggregate.next()
      assert.equal(aggregate.pick({ mask, sort: byTotal, limit: 0, byFamily: false, read }), [])
      assert.equal(total, { rx: all.reduce((sum, { rx }) => sum + rx, 0), tx: all.reduce((sum, { tx }) => sum + tx, 0) })
      // A new frame has begun: the same bytes once more, now to look at the rows.
      // Small numbers tie often.
      const most = random.pick([2, 1000])
      for (const flow of map.flows.values()) {
        flow.tx += 1 + random.below(most)
        flow.rx += random.below(most)
      }
      map.shuffle(random)
      const again = new Map<string, { rx: number; tx: number }>()
      model(map, before, again, key)
      aggregate.drain(map)
      const shown = take(aggregate, limit, byTotal, byFamily)
      const families = byFamily ? [4, 6] : [0]
      const expected = families.flatMap(family => [...again]
        .map(([group, sum]) => ({ group, ...sum, total: sum.rx + sum.tx }))
        .filter(({ group }) => family === 0 || group.endsWith(`,${family}`))
        // The parts of a group are digits, which sort as the bytes of the identity do.
        .sort((one, other) => other.total - one.total || (one.group < other.group ? -1 : 1)).slice(0, limit))
      assert.equal(shown.map(row => ({ group: key(row), rx: row.rx, tx: row.tx })), expected.map(({ group, rx, tx }) => ({ group, rx, tx })))
    }
    // Everything that is over is gone in the end.
    for (const flow of map.flows.values()) flow.gone = flow.share === 0
    for (let walk = 0; walk < 4; walk++) aggregate.drain(map)
    assert.is(map.flows.size, 0)
    assert.is(aggregate.flows, 0)
  }))
}

for (const { name, mask, key } of masks) {
  test(`grouped by ${name}, flows between others, at other places and of other processes, busy and idle, add up`, seeded(async random => {
    const map = new FakeMap()
    const aggregate = await load(mask)
    const before = new Map<string, { tx: number; rx: number }>()
    let cookie = 0n
    for (let frame = 0; frame < 60; frame++) {
      const fresh = Array.from({ length: random.pick([0, 1, 30, 1500]) }, () => {
        const share = random.pick([0, 0, 0, 1 + random.below(3)])
        const own = { cookie: ++cookie, pid: random.below(2000), raddr: random.below(1000), rport: random.below(1000), comm: random.pick(['a', 'bc']) }
        return [map.add(own), ...share > 0 ? [map.add({ ...own, share, pid: share })] : []].map(nameOf)
      }).flat()
      map.scatter(random, fresh)
      const [busy, moved, ending] = [random.pick([0, 0.02, 0.5, 1]), random.pick([0, 0, 0.01, 0.3]), random.pick([0, 0.02, 0.3])]
      for (const flow of map.flows.values()) {
        if (random.chance(0.02)) flow.pid = random.below(2000)
        if (!flow.gone && random.chance(busy)) [flow.tx, flow.rx] = [flow.tx + random.below(1000), flow.rx + random.below(1000)]
        if (flow.share === 0 && random.chance(ending)) flow.gone = true
      }
      if (random.chance(0.1)) map.shuffle(random)
      else map.scatter(random, [...map.flows.keys()].filter(() => random.chance(moved)))
      const sums = new Map<string, { rx: number; tx: number }>()
      model(map, before, sums, key)
      aggregate.drain(map)
      const shown = take(aggregate, Infinity).map(row => `${key(row)}: ${row.rx} ${row.tx}`)
      assert.is(shown.sort().join('\n'), [...sums].map(([group, { rx, tx }]) => `${group}: ${rx} ${tx}`).sort().join('\n'), `frame ${frame}`)
      assert.is(aggregate.flows, map.flows.size)
    }
  }))
}

/** Frames that many look at: what one picks is neither changed by others nor by what is drained for the next frame. */
test('picks of one frame by different groupings, while the next is drained, add up as in a simple model, and so does the next', seeded(async random => {
  const named = [
    ...masks,
    { name: 'comm', mask: maskOf([Value.comm, 16]), key: (row: Shown) => row.comm },
    { name: 'comm and host', mask: maskOf([Value.comm, 16], [Value.raddr, 16], [Value.family, 2]), key: (row: Shown) => [row.comm, row.raddr, row.family].join() },
  ]
  const map = new FakeMap()
  const aggregate = await loadAggregate(maskOf([Value.pid, Identity.size]))
  /** What was moved in the frame in the making, by the flow's whole identity as it was then. */
  let made = new Map<string, { readonly row: Shown; rx: number; tx: number }>()
  const before = new Map<string, { tx: number; rx: number }>()
  const since = { rx: 0, tx: 0 }
  let cookie = 0n
  const drain = () => {
    cookie = evolve(map, random, cookie)
    for (const flow of map.flows.values()) if (random.chance(0.05)) flow.comm = random.pick(['a', 'bc', 'd'])
    if (random.chance(0.2)) map.shuffle(random)
    for (const [name, flow] of map.flows) {
      const { tx, rx } = before.get(name) ?? { tx: 0, rx: 0 }
      before.set(name, { tx: flow.tx, rx: flow.rx })
      if (flow.tx === tx && flow.rx === rx) continue
      const row = { ...flow }
      const whole = [flow.pid, flow.comm, flow.raddr, flow.rport, flow.family].join()
      const sum = made.get(whole) ?? { row, rx: 0, tx: 0 }
      made.set(whole, { row, rx: sum.rx + flow.rx - rx, tx: sum.tx + flow.tx - tx })
    }
    aggregate.drain(map)
  }
  for (let frame = 0; frame < 200; frame++) {
    for (let drains = random.below(3); drains >= 0; drains--) drain()
    const shown = [...made.values()]
    made = new Map()
    const total = { rx: shown.reduce((sum, { rx }) => sum + rx, 0), tx: shown.reduce((sum, { tx }) => sum + tx, 0) }
    since.rx += total.rx
    since.tx += total.tx
    assert.equal(aggregate.next(), { total, sinceStart: since })
    for (let picks = random.below(6); picks >= 0; picks--) {
      const { mask, key, name } = random.pick(named)
      const sums = new Map<string, { rx: number; tx: number }>()
      for (const { row, rx, tx } of shown) {
        const sum = sums.get(key(row)) ?? { rx: 0, tx: 0 }
        sums.set(key(row), { rx: sum.rx + rx, tx: sum.tx + tx })
      }
      const limit = random.pick([0, 2, Infinity])
      const sort: Sort = { offset: random.pick([RowLayout.total, rxAt, txAt]), size: 8, order: random.pick(['ascending', 'descending']) }
      const value = ({ rx, tx }: { readonly rx: number; readonly tx: number }) => sort.offset === RowLayout.total ? rx + tx : sort.offset === rxAt ? rx : tx
      const rows = aggregate.pick({ mask, sort, limit, byFamily: false, read })
      const expected = [...sums].map(([group, sum]) => ({ group, ...sum }))
      const sign = sort.order === 'ascending' ? 1 : -1
      const order = expected.map(value).sort((one, other) => sign * (one - other)).slice(0, limit)
      assert.equal(rows.map(value), order, `${name}, frame ${frame}`)
      const lines = rows.map(row => `${key(row)}: ${row.rx} ${row.tx}`).sort()
      const all = expected.map(({ group, rx, tx }) => `${group}: ${rx} ${tx}`).sort()
      if (limit === Infinity) assert.equal(lines, all, `${name}, frame ${frame}`)
      else assert.ok(lines.every(line => all.includes(line)), `${name}, frame ${frame}`)
      // Another key press may come when the next frame is half counted.
      if (random.chance(0.3)) drain()
    }
  }
}))

test('by a grouping that is finer than what is counted, nothing can be picked', async () => {
  const aggregate = await loadAggregate(byProcess)
  aggregate.next()
  assert.throws(() => aggregate.pick({ mask: everything, sort: byTotal, limit: 1, byFamily: false, read }), /^Error: the grouping is finer than the one by which rows were counted$|^the grouping is finer than the one by which rows were counted$/)
})

test('a counter and gauges that are added to the list are summed, merged, sorted by and grouped again', async () => {
  const [retrans, most, latest] = [
    { name: 'retrans', from: Value.ended, merge: 'sum', unit: 'bytes' },
    { name: 'most', from: Value.opened, merge: 'max', unit: 'nanoseconds' },
    { name: 'latest', from: Value.opened, merge: 'last', unit: 'nanoseconds' },
  ] as const satisfies readonly Measure[]
  const list: readonly Measure[] = [most, measures[0], retrans, latest, measures[1]]
  const map = new FakeMap()
  const aggregate = await loadAggregate(everything, list)
  const flows = ([[1, 5, 10], [1, 9, 20], [1, 7, 30], [2, 1, 40]] as const).map(([pid, gauge, again], index) =>
    map.add({ cookie: BigInt(index + 1), pid, rport: index, gauge, again, rx: 100 * (index + 1), tx: 1 }))
  const shown = (mask: Uint8Array, by: Measure) => aggregate.pick({
    mask, sort: { offset: offsetIn(list, by), size: 8, order: 'descending' }, limit: Infinity, byFamily: false,
    read: (view, start) => [
      view.getUint32(start + at(Value.pid), true), Number(view.getBigUint64(start + RowLayout.total, true)),
      ...list.map(measure => Number(view.getBigUint64(start + offsetIn(list, measure), true))),
    ],
  })
  aggregate.drain(map)
  assert.equal(aggregate.next(), { total: { rx: 1000, tx: 4, retrans: 100 }, sinceStart: { rx: 1000, tx: 4, retrans: 100 } })
  assert.equal(shown(byProcess, most), [[1, 603, 9, 600, 60, 7, 3], [2, 401, 1, 400, 40, 1, 1]])
  assert.equal(shown(everything, most), [
    [1, 201, 9, 200, 20, 9, 1], [1, 301, 7, 300, 30, 7, 1], [1, 101, 5, 100, 10, 5, 1], [2, 401, 1, 400, 40, 1, 1],
  ])
  assert.equal(shown(byProcess, retrans).map(([pid]) => pid), [1, 2])
  // A gauge that falls is shown as it is; a flow of which only another counter grows is a row that moved nothing.
  Object.assign(flows[1]!, { gauge: 2, tx: 8 })
  Object.assign(flows[3]!, { again: 45, gauge: 3 })
  aggregate.drain(map)
  assert.equal(aggregate.next(), { total: { rx: 0, tx: 7, retrans: 5 }, sinceStart: { rx: 1000, tx: 11, retrans: 105 } })
  assert.equal(shown(byProcess, most), [[2, 0, 3, 0, 5, 3, 0], [1, 7, 2, 0, 0, 2, 7]])
})

test('idle rows do not stay for good, and those that come again count from nothing', async () => {
  const map = new FakeMap()
  const aggregate = await load(everything)
  const flows = Array.from({ length: 1000 }, (_, index) => map.add({ cookie: BigInt(index + 1), pid: index, tx: 1 }))
  for (let frame = 0; frame < 60; frame++) {
    flows[0]!.tx += 5
    if (frame % 29 === 0) for (const flow of flows) flow.tx += 2
    aggregate.drain(map)
    const rows = take(aggregate, Infinity)
    assert.is(rows.length, frame % 29 === 0 ? 1000 : 1)
    assert.equal(rows.slice(0, 2).map(({ tx }) => tx), frame === 0 ? [8, 3] : frame % 29 === 0 ? [7, 2] : [5])
  }
})

test('a hundred thousand flows, and then none', async () => {
  const map = new FakeMap()
  const aggregate = await load(everything)
  for (let cookie = 1n; cookie <= 100_000n; cookie++) map.add({ cookie, tx: Number(cookie), pid: Number(cookie) })
  aggregate.drain(map)
  assert.equal(take(aggregate, 2).map(({ tx }) => tx), [100_000, 99_999])
  for (const flow of map.flows.values()) flow.gone = true
  aggregate.drain(map)
  aggregate.drain(map)
  assert.is(map.flows.size, 0)
  assert.is(aggregate.flows, 0)
})

test('memory does not grow with flows that come and go', async () => {
  const map = new FakeMap()
  const aggregate = await load(everything)
  let cookie = 0n
  const churn = (rounds: number) => {
    for (let round = 0; round < rounds; round++) {
      for (let count = 0; count < 500; count++) map.add({ cookie: ++cookie, tx: 1, gone: true, pid: Number(cookie) })
      aggregate.drain(map)
      take(aggregate, 20)
    }
  }
  churn(20)
  const { bytes } = aggregate
  churn(1000)
  assert.is(aggregate.bytes, bytes)
  assert.ok(aggregate.flows <= 1000)
})

test.run()
