import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Session, Stats } from '../../src/backend/session.js'
import type { Aggregate } from '../../src/frame/aggregate.js'
import { trace, type View } from '../../src/frame/frames.js'
import type { Frame } from '../../src/frame/row.js'
import { fakeClock } from '../kit/clock.js'

function fakeSession(stats: Partial<Stats> = {}) {
  const current: Stats = { lost: { events: 0, tx: 0, rx: 0 }, entered: 0, gone: 0, unsettled: 0, ...stats }
  const session = { current, flows: {}, programs: [], stats: () => ({ ...session.current }), runs: () => ({ count: 0, seconds: 0, missed: null }), audit: (all: boolean) => void session.audits.push(all), audits: [] as boolean[], close: () => {} }
  return { session: session as unknown as Session & { current: Stats; stats: () => Stats } }
}

function fakeAggregate() {
  let drains = 0
  const aggregate = {
    drain: () => ++drains,
    take: () => ({ rows: new DataView(new ArrayBuffer(0)), count: 0, total: { rx: drains, tx: 2 * drains } }),
    flows: 0,
    deleted: 0,
    ended: 0,
    bytes: 0,
  }
  return { aggregate: aggregate as unknown as Aggregate & { deleted: number; ended: number }, drains: () => drains }
}

const view = (interval: number, count?: number): View => ({
  interval, count, sort: { offset: 16, size: 8, order: 'descending' }, byFamily: true, limit: () => 1, decode: () => ({ rx: 0, tx: 0 }),
})

async function collect(frames: AsyncGenerator<Frame>, each: (frame: Frame, index: number) => void = () => {}): Promise<Frame[]> {
  const all: Frame[] = []
  for await (const frame of frames) {
    each(frame, all.length)
    all.push(frame)
  }
  return all
}

test('60 frames of a second take 60 seconds, however long each takes to show', async () => {
  const { clock, pass } = fakeClock()
  const { session } = fakeSession()
  const frames = await collect(trace(session, fakeAggregate().aggregate, 'tracepoint', clock, view(1, 60), 100, new AbortController().signal, 96), () => pass(0.3))
  assert.is(frames.length, 60)
  assert.is(Math.round(clock.now() * 1000), 160_300)
  for (const { interval } of frames.slice(1)) assert.ok(Math.abs(interval - 1) < 1e-9)
})

test('a slow reader makes one long frame, not many late ones', async () => {
  const { clock, pass } = fakeClock()
  const frames = await collect(
    trace(fakeSession().session, fakeAggregate().aggregate, 'tracepoint', clock, view(1, 4), 100, new AbortController().signal, 96),
    (_, index) => index === 1 && pass(5.5))
  assert.equal(frames.map(({ interval }) => Math.round(interval * 1000)), [1000, 1000, 6000, 1000])
})

test('the last frame is of the time until the stop', async () => {
  const { clock, pass } = fakeClock()
  const stop = new AbortController()
  const frames = await collect(trace(fakeSession().session, fakeAggregate().aggregate, 'tracepoint', clock, view(1), 100, stop.signal, 96), (_, index) => {
    if (index === 2) {
      pass(0.25)
      stop.abort()
    }
  })
  assert.equal(frames.map(({ interval }) => Math.round(interval * 1000)), [1000, 1000, 1000, 250])
})

test('lost bytes are reported once, in the frame in which they were lost', async () => {
  const { clock } = fakeClock()
  const { session } = fakeSession({ lost: { events: 7, tx: 70, rx: 700 } })
  const frames = await collect(trace(session, fakeAggregate().aggregate, 'tracepoint', clock, view(1, 3), 100, new AbortController().signal, 96), (_, index) => {
    if (index === 0) session.current = { ...session.current, lost: { events: 9, tx: 75, rx: 700 } }
  })
  assert.equal(frames.map(({ lost }) => lost), [{ events: 0, rx: 0, tx: 0 }, { events: 2, rx: 0, tx: 5 }, { events: 0, rx: 0, tx: 0 }])
})

test('between frames the map is drained when closed connections fill it, and not when open ones do', async () => {
  const { clock, tick, watchers } = fakeClock()
  const { session } = fakeSession()
  const { aggregate, drains } = fakeAggregate()
  await collect(trace(session, aggregate, 'tracepoint', clock, view(1, 2), 80, new AbortController().signal, 96), (_, index) => {
    if (index > 0) return
    const before = drains()
    session.current = { ...session.current, entered: 70, gone: 10 }
    tick()
    assert.is(drains(), before, 'mostly open')
    session.current = { ...session.current, gone: 30 }
    tick()
    assert.is(drains(), before + 1, 'many closed')
    aggregate.deleted = 20
    tick()
    assert.is(drains(), before + 2, 'shares of other processes were deleted, which closed nothing')
    aggregate.ended = 20
    tick()
    assert.is(drains(), before + 2, 'mostly open')
    aggregate.ended = 0
    aggregate.deleted = 40
    tick()
    assert.is(drains(), before + 2, 'room enough')
  })
  assert.is(watchers.size, 0, 'the watch ends with the frames')
})

test('where the rows that are decoded have an order of their own, all are decoded, sorted, and cut in each family', async () => {
  const rows = [[4, 'c', 1], [6, 'b', 1], [4, 'a', 1], [6, 'd', 1], [4, 'b', 1], [4, 'a', 5]] as const
  const aggregate = { ...fakeAggregate().aggregate, take: (limit: number) => ({ rows: new DataView(new ArrayBuffer(0)), count: Math.min(limit, rows.length), total: { rx: 0, tx: 9 } }) }
  const shownBy = async (change: Partial<View>) => {
    const decode: View['decode'] = (_, offset) => {
      const [family, comm, tx] = rows[offset / 96]!
      return { family, comm, rx: 0, tx }
    }
    const frames = trace(fakeSession().session, aggregate, 'tracepoint', fakeClock().clock, { ...view(1, 1), limit: () => 2, decode, ...change }, 100, new AbortController().signal, 96)
    return (await collect(frames))[0]!.rows.map(({ family, comm, tx }) => `${family} ${comm} ${tx}`)
  }
  const order: View['order'] = (one, other) => one.comm! < other.comm! ? -1 : one.comm! > other.comm! ? 1 : other.tx - one.tx
  assert.equal(await shownBy({}), ['4 c 1', '6 b 1'])
  assert.equal(await shownBy({ order }), ['4 a 5', '4 a 1', '6 b 1', '6 d 1'])
  assert.equal(await shownBy({ order, byFamily: false }), ['4 a 5', '4 a 1'])
})

test('an error while watching ends the frames instead of vanishing', async () => {
  const { clock, tick } = fakeClock()
  const { session } = fakeSession()
  const frames = trace(session, fakeAggregate().aggregate, 'tracepoint', clock, view(1), 80, new AbortController().signal, 96)
  await frames.next()
  const { stats } = session
  session.stats = () => { throw new Error('EBADF') }
  tick()
  // The frame itself finds nothing wrong.
  session.stats = stats
  let message = ''
  await frames.next().catch(error => { message = error.message })
  assert.is(message, 'EBADF')
})

test('a frame reports the tool’s cost since the previous one', async () => {
  const { session } = fakeSession()
  const { clock, pass } = fakeClock()
  const { aggregate } = fakeAggregate()
  let runs = { count: 100, seconds: 1, missed: 0 }
  const counting = { ...session, runs: () => (runs = { count: runs.count + 10, seconds: runs.seconds + 0.5, missed: 0 }) }
  const slow = { ...aggregate, drain: () => void pass(0.125) }
  const frames = await collect(trace(counting, slow, 'tracepoint', clock, view(2, 3), 100, new AbortController().signal, 96))
  for (const { cost } of frames.slice(1)) assert.equal(cost, { cpu: 0.25, drain: 0.125, runs: 10, run: 0.5 })
  const [frame] = await collect(trace(session, aggregate, 'tracepoint', clock, view(2, 1), 100, new AbortController().signal, 96))
  assert.equal([frame!.cost.runs, frame!.cost.run], [null, null], 'the kernel keeps no statistics')
})

test('skipped runs are reported once, in their frame, or null where the kernel does not count them', async () => {
  const { session } = fakeSession()
  const { clock } = fakeClock()
  const framesOf = (counts: readonly (number | null)[]) => {
    const left = [...counts]
    const skipping = { ...session, runs: () => ({ count: 0, seconds: 0, missed: left.shift()! }) }
    return collect(trace(skipping, fakeAggregate().aggregate, 'tracepoint', clock, view(1, counts.length - 1), 100, new AbortController().signal, 96))
  }
  assert.equal((await framesOf([5, 5, 9, 9])).map(({ missed }) => missed), [0, 4, 0])
  assert.equal((await framesOf([null, null, null])).map(({ missed }) => missed), [null, null])
})

test.run()
