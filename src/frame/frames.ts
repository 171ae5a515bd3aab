import type { Session } from '../backend/index.js'
import { type Clock as Timer, intervals } from '../trace/index.js'
import type { Aggregate, Sort } from './aggregate.js'
import type { Frame, Row } from './row.js'

/** The outside world of the tracer, apart from the kernel. */
export interface Clock extends Timer {
  /** Seconds of a processor's time that this process has used. */
  cpu(): number
  date(): Date
  /** The line of /proc/loadavg, null when it cannot be read. */
  loadavg(): string | null
  /** Calls back every `seconds` until the returned function is called. */
  every(seconds: number, callback: () => void): () => void
}

/** What is shown of what is counted. */
export interface View {
  /** Seconds between frames. */
  readonly interval: number
  /** Frames until the end; forever without. */
  readonly count?: number | undefined
  readonly sort: Sort
  /** Whether the limit is one of each family. */
  readonly byFamily: boolean
  /** Rows wanted in the next frame: asked every time, for a terminal may change its size. */
  limit(): number
  decode(view: DataView, offset: number): Row
  /** Which of two rows comes first, if that takes the decoded rows: rows beyond the limit are then decoded too. */
  readonly order?: ((one: Row, other: Row) => number) | undefined
}

/** Seconds between looks at how full the map is. */
const watchEvery = 0.25
/** Seconds between audits of all flows while no program was skipped: calls that another tracer cut off give no other sign. */
const auditEvery = 10

/**
 * Yields a frame every interval, and a last one of the time so far when `stop` aborts. Of intervals that passed while the consumer was
 * busy the bytes are in the next frame. Between frames the map is drained when closed connections take up much of it.
 */
export async function* trace(
  session: Session, aggregate: Aggregate, backend: string, clock: Clock, view: View, maxFlows: number, stop: AbortSignal, rowSize: number,
): AsyncGenerator<Frame> {
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
    for await (const { length } of intervals(view.interval, { clock, count: view.count, stop })) {
      if (failure !== undefined) throw failure
      const runs = session.runs()
      audit(runs.missed)
      drain()
      const { lost } = session.stats()
      const { rows, total } = take(aggregate, view, rowSize)
      const cpu = clock.cpu()
      yield {
        time: clock.date(),
        interval: length,
        backend,
        loadavg: clock.loadavg(),
        rows,
        total,
        lost: {
          events: lost.events - previous.lost.events,
          rx: lost.rx - previous.lost.rx,
          tx: lost.tx - previous.lost.tx,
        },
        missed: runs.missed === null || previous.runs.missed === null ? null : runs.missed - previous.runs.missed,
        cost: {
          cpu: (cpu - previous.cpu) / length,
          drain: drained - previous.drained,
          runs: runs.count === 0 ? null : runs.count - previous.runs.count,
          run: runs.count === 0 ? null : runs.seconds - previous.runs.seconds,
        },
      }
      previous = { cpu, drained, runs, lost }
    }
  } finally {
    unwatch()
  }
}

/** The rows that are wanted of a frame, in order, and the bytes of all. */
function take(aggregate: Aggregate, view: View, rowSize: number): Pick<Frame, 'rows' | 'total'> {
  const { sort, byFamily, order } = view
  const limit = view.limit()
  const taken = aggregate.take(order === undefined ? limit : Infinity, sort, byFamily)
  const rows = Array.from({ length: taken.count }, (_, index) => view.decode(taken.rows, index * rowSize))
  if (order === undefined) return { rows, total: taken.total }
  const groups = byFamily ? [rows.filter(({ family }) => family === 4), rows.filter(({ family }) => family === 6)] : [rows]
  return { rows: groups.flatMap(group => group.sort(order).slice(0, limit)), total: taken.total }
}
