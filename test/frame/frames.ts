import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Session, Stats } from '../../src/backend/session.js'
import type { Aggregate } from '../../src/frame/aggregate.js'
import type { Frame, View } from '../../src/frame/frame.js'
import { type Counting, countedFrames, type Decorator } from '../../src/frame/frames.js'
import { Pace } from '../../src/frame/pace.js'
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
    next: () => ({ total: { rx: drains, tx: 2 * drains }, sinceStart: { rx: 0, tx: 0 } }),
    pick: () => [],
    flows: 0,
    deleted: 0,
    ended: 0,
    bytes: 0,
  }
  return { aggregate: aggregate as unknown as Aggregate & { deleted: number; ended: number }, drains: () => drains }
}

/** Frames of a second, of a session and an aggregate that do nothing, unless it is changed. */
function framesOf(change: Partial<Counting> = {}): AsyncGenerator<Frame> {
  return countedFrames({
    session: fakeSession().session, aggregate: fakeAggregate().aggregate, backend: 'tracepoint', clock: fakeClock().clock,
    pace: new Pace(1), maxFlows: 100, stop: new AbortController().signal, decorators: [], ...change,
  })
}

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
  const frames = await collect(framesOf({ session, clock, count: 60 }), () => pass(0.3))
  assert.is(frames.length, 60)
  assert.is(Math.round(clock.now() * 1000), 160_300)
  for (const { interval } of frames.slice(1)) assert.ok(Math.abs(interval - 1) < 1e-9)
})

test('a slow reader makes one long frame, not many late ones', async () => {
  const { clock, pass } = fakeClock()
  const frames = await collect(
    framesOf({ clock, count: 4 }),
    (_, index) => index === 1 && pass(5.5))
  assert.equal(frames.map(({ interval }) => Math.round(interval * 1000)), [1000, 1000, 6000, 1000])
})

test('the last frame is of the time until the stop', async () => {
  const { clock, pass } = fakeClock()
  const stop = new AbortController()
  const frames = await collect(framesOf({ clock, stop: stop.signal }), (_, index) => {
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
  const frames = await collect(framesOf({ session, clock, count: 3 }), (_, index) => {
    if (index === 0) session.current = { ...session.current, lost: { events: 9, tx: 75, rx: 700 } }
  })
  assert.equal(frames.map(({ lost }) => lost), [{ events: 0, rx: 0, tx: 0 }, { events: 2, rx: 0, tx: 5 }, { events: 0, rx: 0, tx: 0 }])
})

test('between frames the map is drained when closed connections fill it, and not when open ones do', async () => {
  const { clock, tick, watchers } = fakeClock()
  const { session } = fakeSession()
  const { aggregate, drains } = fakeAggregate()
  await collect(framesOf({ session, aggregate, clock, count: 2, maxFlows: 80 }), (_, index) => {
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

const bytes = new DataView(new ArrayBuffer(0))
/** An aggregate whose rows are these, picked as they are. */
const aggregateOf = (rows: readonly unknown[]): Counting['aggregate'] => ({
  ...fakeAggregate().aggregate,
  pick: ({ limit, read }) => Array.from({ length: Math.min(limit, rows.length) }, (_, index) => read(bytes, index)),
})
const sort = { offset: 96, size: 8, order: 'descending' } as const

test('where the rows that are shown have an order of their own, all are decoded, sorted, and cut in each family', async () => {
  const rows = [[4, 'c', 1], [6, 'b', 1], [4, 'a', 1], [6, 'd', 1], [4, 'b', 1], [4, 'a', 5]] as const
  const decode = (_: DataView, offset: number) => {
    const [family, comm, tx] = rows[offset]!
    return { family, comm, rx: 0, tx }
  }
  const shownBy = async (byFamily: boolean, compare?: View['sort']['compare']) => {
    const grouping = { fields: [], compared: [], byFamily, mask: () => new Uint8Array(), decode, startOf: () => undefined }
    const picked: string[] = []
    await collect(framesOf({ aggregate: aggregateOf(rows), count: 1 }), frame => {
      const view = { grouping, sort: { ...sort, ...compare && { compare } }, limit: 2 }
      picked.push(...frame.pick(view).map(({ family, comm, tx }) => `${family} ${comm} ${tx}`))
    })
    return picked
  }
  const compare: View['sort']['compare'] = (one, other) => one.comm! < other.comm! ? -1 : one.comm! > other.comm! ? 1 : other.tx - one.tx
  assert.equal(await shownBy(true), ['4 c 1', '6 b 1'])
  assert.equal(await shownBy(true, compare), ['4 a 5', '4 a 1', '6 b 1', '6 d 1'])
  assert.equal(await shownBy(false, compare), ['4 a 5', '4 a 1'])
})

test('decorators change rows one after the other, and are asked anew for each frame; only the latest frame is picked from', async () => {
  let frames = 0
  const decorators: readonly Decorator[] = [
    () => {
      frames++
      return (row, start) => ({ ...row, comm: `${row.comm} ${start} ${frames}` })
    },
    () => row => ({ ...row, comm: `${row.comm}!` }),
  ]
  const grouping = { fields: [], compared: [], byFamily: false, mask: () => new Uint8Array(), decode: () => ({ comm: 'a', rx: 0, tx: 0 }), startOf: () => 7n }
  const view = { grouping, sort, limit: 1 }
  const all = await collect(framesOf({ aggregate: aggregateOf([1, 2]), count: 2, decorators }), frame => {
    assert.equal(frame.pick(view), frame.pick(view))
  })
  assert.equal(all[1]!.pick(view), [{ comm: 'a 7 2!', rx: 0, tx: 0 }])
  assert.throws(() => all[0]!.pick(view), /the latest frame only/)
})

test('an error while watching ends the frames instead of vanishing', async () => {
  const { clock, tick } = fakeClock()
  const { session } = fakeSession()
  const frames = framesOf({ session, clock, maxFlows: 80 })
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
  const frames = await collect(framesOf({ session: counting, aggregate: slow, clock, pace: new Pace(2), count: 3 }))
  for (const { cost } of frames.slice(1)) assert.equal(cost, { cpu: 0.25, drain: 0.125, runs: 10, run: 0.5 })
  const [frame] = await collect(framesOf({ session, aggregate, clock, pace: new Pace(2), count: 1 }))
  assert.equal([frame!.cost.runs, frame!.cost.run], [null, null], 'the kernel keeps no statistics')
})

test('skipped runs are reported once, in their frame, or null where the kernel does not count them', async () => {
  const { session } = fakeSession()
  const { clock } = fakeClock()
  const missedOf = (counts: readonly (number | null)[]) => {
    const left = [...counts]
    const skipping = { ...session, runs: () => ({ count: 0, seconds: 0, missed: left.shift()! }) }
    return collect(framesOf({ session: skipping, clock, count: counts.length - 1 }))
  }
  assert.equal((await missedOf([5, 5, 9, 9])).map(({ missed }) => missed), [0, 4, 0])
  assert.equal((await missedOf([null, null, null])).map(({ missed }) => missed), [null, null])
})

test.run()
