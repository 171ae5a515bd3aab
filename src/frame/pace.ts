import { type Schedule, type Span, systemClock } from '../trace/index.js'

/** How often frames come, which a person may change between two of them. */
export class Pace {
  #seconds: number
  #isPaused = false
  #change = new AbortController()

  constructor(seconds: number) {
    this.#seconds = seconds
  }

  get seconds(): number {
    return this.#seconds
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Aborts at the next change. */
  get changed(): AbortSignal {
    return this.#change.signal
  }

  /** Frames come every `seconds` from now on, or not at all until the next change. */
  set(seconds: number, isPaused: boolean): void {
    if (seconds === this.#seconds && isPaused === this.#isPaused) return
    const before = this.#change
    this.#seconds = seconds
    this.#isPaused = isPaused
    this.#change = new AbortController()
    before.abort()
  }
}

/** Seconds after which a pause is looked at again: timers have no more than 2^31 milliseconds. */
const longest = 2_000_000

/**
 * Yields at the end of every interval, as `intervals` does. New seconds apply to the interval that runs: it ends when it is as long as is wanted now. In
 * a pause the interval goes on, and it ends with the pause.
 */
export async function* paced(pace: Pace, { clock = systemClock, count = Infinity, stop }: Schedule): AsyncGenerator<Span, void> {
  let previous = clock.now()
  let due = previous + pace.seconds
  for (let passed = 0; passed < count; passed++) {
    let wasPaused = false
    while (!stop.aborted) {
      const { isPaused, changed } = pace
      if (isPaused) wasPaused = true
      else if (wasPaused || clock.now() >= due) break
      await clock.sleep(isPaused ? longest : due - clock.now(), AbortSignal.any([stop, changed]))
      if (changed.aborted) due = Math.max(clock.now(), previous + pace.seconds)
    }
    // A stop that comes later, while the consumer is busy, has an interval of its own.
    const isLast = stop.aborted
    const time = clock.now()
    yield { time, length: time - previous }
    if (isLast) return
    previous = time
    // Deadlines are multiples of the interval, so that nothing adds up; those that passed while the consumer was busy are skipped.
    if (wasPaused) due = time
    due += Math.max(1, Math.ceil((clock.now() - due) / pace.seconds)) * pace.seconds
  }
}
