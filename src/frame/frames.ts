import type { Session } from '../backend/index.js'
import type { Clock as Timer } from '../trace/index.js'
import type { Aggregate } from './aggregate.js'
import type { Frame, Origin, View } from './frame.js'
import { type Pace, paced } from './pace.js'
import { firstRows, type Row } from './row.js'

/** The outside world of the tracer, apart from the kernel. */
export interface HostClock extends Timer {
  /** Seconds of a processor's time that this process has used. */
  cpu(): number
  date(): Date
  /** The line of /proc/loadavg, null when it cannot be read. */
  loadavg(): string | null
  /** Calls back every `seconds` until the returned function is called. */
  every(seconds: number, callback: () => void): () => void
}

/** Begins a frame: what it returns makes a row as the kernel has it, of a process that started then (`RowShape.startOf`), the row that is shown. */
export type Decorator = () => (row: Row, start: bigint | undefined) => Row

/** The kernel as a source of frames. */
export interface Counting {
  readonly session: Session
  readonly aggregate: Aggregate
  /** The name of the backend. */
  readonly backend: string
  readonly clock: HostClock
  readonly origin?: Origin
  /** How often frames come. */
  readonly pace: Pace
  /** Frames until the end; forever without. */
  readonly count?: number | undefined
  /** Flows that the kernel's map has room for. */
  readonly maxFlows: number
  readonly stop: AbortSignal
  /** What is done to each row, in this order. */
  readonly decorators: readonly Decorator[]
}

/** Seconds between looks at how full the map is. */
const watchEvery = 0.25
/** Seconds between audits of all flows while no program was skipped: calls that another tracer cut off give no other sign. */
const auditEvery = 10

/**
 * Yields a frame every interval, and a last one of the time so far when `stop` aborts. Of intervals that passed while the consumer was
 * busy the bytes are in the next frame. Between frames the map is drained when closed connections take up much of it. Throws SyscallError.
 */
export async function* countedFrames(
  { session, aggregate, backend, clock, origin, pace, count, maxFlows, stop, decorators }: Counting,
): AsyncGenerator<Frame, void> {
  let drained = 0
  const drain = () => {
    const before = clock.now()
    aggregate.drain(session.flows)
    drained += clock.now() - before
  }
  let previous = { cpu: clock.cpu(), drained, runs: session.runs(), lost: session.stats().lost }
  let audited = { time: clock.now(), missed: previous.runs.missed }
  const audit = (missed: number | null) => {
    const isDue = missed !== audited.missed || clock.now() - audited.time >= auditEvery
    if (isDue) audited = { time: clock.now(), missed }
    if (isDue || session.stats().unsettled > 0) session.audit(isDue)
  }
  let failure: unknown
  const unwatch = clock.every(watchEvery, () => {
    try {
      const { entered, gone } = session.stats()
      const used = entered - aggregate.deleted
      if (used > maxFlows / 2 && gone - aggregate.ended > maxFlows / 8) drain()
    } catch (error) {
      failure ??= error
    }
  })
  try {
    let latest = 0
    for await (const { length } of paced(pace, { clock, count, stop })) {
      if (failure !== undefined) throw failure
      const runs = session.runs()
      audit(runs.missed)
      drain()
      const { lost } = session.stats()
      const sums = aggregate.next()
      const decorate = decorators.map(begin => begin())
      const cpu = clock.cpu()
      const number = ++latest
      yield {
        ...origin && { origin },
        time: clock.date(),
        interval: length,
        backend,
        loadavg: clock.loadavg(),
        ...sums,
        lost: difference(lost, previous.lost),
        missed: runs.missed === null || previous.runs.missed === null ? null : runs.missed - previous.runs.missed,
        flows: aggregate.flows,
        cost: {
          cpu: (cpu - previous.cpu) / length,
          drain: drained - previous.drained,
          runs: runs.count === 0 ? null : runs.count - previous.runs.count,
          run: runs.count === 0 ? null : runs.seconds - previous.runs.seconds,
        },
        count: grouping => {
          if (number !== latest) throw new Error('rows are counted of the latest frame only')
          return aggregate.count(grouping.mask())
        },
        pick: view => {
          if (number !== latest) throw new Error('rows are picked of the latest frame only')
          return pick(aggregate, view, decorate)
        },
      }
      previous = { cpu, drained, runs, lost }
    }
  } finally {
    unwatch()
  }
}

/** How much each number has grown. */
function difference<Numbers extends { readonly [name in keyof Numbers]: number }>(now: Numbers, before: Numbers): Numbers {
  const names = Object.keys(now) as (keyof Numbers)[]
  return Object.fromEntries(names.map(name => [name, now[name] - before[name]])) as Numbers
}

function pick(aggregate: Aggregate, { grouping, sort, limit }: View, decorate: readonly ReturnType<Decorator>[]): Row[] {
  const { byFamily } = grouping
  const { compare } = sort
  const rows = aggregate.pick({
    mask: grouping.mask(),
    sort,
    limit: compare === undefined ? limit : Infinity,
    byFamily,
    read: (view, offset) => {
      const start = grouping.startOf(view, offset)
      return decorate.reduce((row, change) => change(row, start), grouping.decode(view, offset))
    },
  })
  return compare === undefined ? rows : firstRows(rows, compare, limit, byFamily)
}
