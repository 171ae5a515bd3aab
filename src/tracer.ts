import type { Aggregate, Sort } from './aggregate.js'
import type { Frame, Row } from './row.js'
import type { Session } from './session.js'

/** The outside world of the tracer, apart from the kernel. */
export interface Clock {
  /** Monotonic seconds. */
  now(): number
  /** Seconds of a processor's time that this process has used. */
  cpu(): number
  date(): Date
  /** The line of /proc/loadavg, null when it cannot be read. */
  loadavg(): string | null
  /** Resolves after `seconds`, or as soon as `signal` aborts. */
  sleep(seconds: number, signal: AbortSignal): Promise<void>
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
}

/** Seconds between looks at how full the map is. */
const watchEvery = 0.25

/**
 * Yields a frame every interval, and a last one of the time so far when `stop` aborts. Deadlines are multiples of the interval since
 * the start, so that nothing adds up; those that passed while the consumer was busy are left out and their bytes are in the next
 * frame. Between frames the map is drained when closed connections take up much of it.
 */
export async function* trace(
  session: Session, aggregate: Aggregate, backend: string, clock: Clock, view: View, maxFlows: number, stop: AbortSignal, rowSize: number,
): AsyncGenerator<Frame> {
  const start = clock.now()
  let drained = 0
  const drain = () => {
    const before = clock.now()
    aggregate.drain(session.flows)
    drained += clock.now() - before
  }
  let previous = { time: start, cpu: clock.cpu(), drained, runs: session.runs(), lost: session.stats().lost }
  let deadline = start
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
    for (let frames = 0; view.count === undefined || frames < view.count; frames++) {
      const passed = Math.max(1, Math.ceil((clock.now() - deadline) / view.interval))
      deadline += passed * view.interval
      await clock.sleep(deadline - clock.now(), stop)
      if (failure !== undefined) throw failure
      // A stop that comes later, while the frame is shown, has a frame of its own.
      const isLast = stop.aborted
      const time = clock.now()
      drain()
      const { lost } = session.stats()
      const taken = aggregate.take(view.limit(), view.sort, view.byFamily)
      const [cpu, runs] = [clock.cpu(), session.runs()]
      yield {
        time: clock.date(),
        interval: time - previous.time,
        backend,
        loadavg: clock.loadavg(),
        rows: Array.from({ length: taken.count }, (_, index) => view.decode(taken.rows, index * rowSize)),
        total: taken.total,
        lost: {
          events: lost.events - previous.lost.events,
          rx: lost.rx - previous.lost.rx,
          tx: lost.tx - previous.lost.tx,
        },
        cost: {
          cpu: (cpu - previous.cpu) / (time - previous.time),
          drain: drained - previous.drained,
          runs: runs.count === 0 ? null : runs.count - previous.runs.count,
          run: runs.count === 0 ? null : runs.seconds - previous.runs.seconds,
        },
      }
      previous = { time, cpu, drained, runs, lost }
      if (isLast) return
    }
  } finally {
    unwatch()
  }
}
