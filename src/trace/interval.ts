import { setTimeout as sleep } from 'node:timers/promises'

/** Time as it passes; tests have one of their own. */
export interface Clock {
  /** Monotonic seconds. */
  now(): number
  /** Resolves after `seconds`, or as soon as `signal` aborts. */
  sleep(seconds: number, signal: AbortSignal): Promise<void>
}

/** The time of this machine. */
export const systemClock: Clock = {
  // `performance` is loaded when it is asked for.
  now: () => Number(process.hrtime.bigint()) / 1e9,
  sleep: (seconds, signal) => sleep(Math.max(0, seconds) * 1000, undefined, { signal }).catch(() => undefined),
}

/** An interval that has passed. */
export interface Span {
  /** When it ended, by the clock. */
  readonly time: number
  /** How long it really was, in seconds. */
  readonly length: number
}

/** When intervals end. */
export interface Schedule {
  readonly clock?: Clock
  /** How many there are; forever without. */
  readonly count?: number | undefined
  readonly stop: AbortSignal
}

/**
 * Yields at the end of every interval of `seconds`, `count` times or forever, and once more, for the time so far, when `stop` aborts.
 * Deadlines are multiples of the interval since the start, so that nothing adds up; those that passed while the consumer was busy are left
 * out.
 */
export async function* intervals(seconds: number, { clock = systemClock, count = Infinity, stop }: Schedule): AsyncGenerator<Span, void> {
  let previous = clock.now()
  let deadline = previous
  for (let passed = 0; passed < count; passed++) {
    deadline += Math.max(1, Math.ceil((clock.now() - deadline) / seconds)) * seconds
    await clock.sleep(deadline - clock.now(), stop)
    // A stop that comes later, while the consumer is busy, has an interval of its own.
    const isLast = stop.aborted
    const time = clock.now()
    yield { time, length: time - previous }
    if (isLast) return
    previous = time
  }
}
