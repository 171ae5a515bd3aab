import type { HostClock } from './frames.js'

/** The processes that the user named, over time: those that are not there yet are waited for. */
export class Wanted {
  readonly #unseen: Set<number>
  #running = new Set<number>()

  constructor(pids: readonly number[]) {
    this.#unseen = new Set(pids)
  }

  /** Compares with the processes that are there now. */
  look(there: ReadonlySet<number>): void {
    for (const pid of this.#unseen) {
      if (!there.has(pid)) continue
      this.#unseen.delete(pid)
      this.#running.add(pid)
    }
    for (const pid of this.#running) if (!there.has(pid)) this.#running.delete(pid)
  }

  /** Whether all have been there and have ended. */
  get over(): boolean {
    return this.#unseen.size === 0 && this.#running.size === 0
  }

  /** One line about those that are waited for; undefined when there are none. */
  get absence(): string | undefined {
    const [first, second, third, ...others] = this.#unseen
    if (first === undefined) return undefined
    if (second === undefined) return `there is no process ${first} yet: waiting for it`
    const some = [first, second, ...third === undefined ? [] : [third]]
    const last = others.length > 0 ? `${others.length} more` : `${some.pop()}`
    return `there are no processes ${some.join(', ')} and ${last} yet: waiting for them`
  }
}

/** Seconds between looks at the processes. */
const lookEvery = 1

/**
 * Aborts when all processes that the user named have been there and have ended; never where there are none, or where processes cannot be seen. Names
 * in one line those that are not there at first. `processes` are those of now.
 */
export function untilEnded(
  pids: readonly number[],
  { processes, clock, log }: { processes(): ReadonlySet<number> | undefined; readonly clock: Pick<HostClock, 'every'>; log(line: string): void },
): { readonly signal: AbortSignal; close(): void } {
  const ended = new AbortController()
  const wanted = new Wanted(pids)
  const look = () => {
    const there = processes()
    if (there === undefined) return false
    wanted.look(there)
    if (wanted.over) ended.abort()
    return true
  }
  if (pids.length === 0 || !look()) return { signal: ended.signal, close: () => {} }
  if (wanted.absence !== undefined) log(`tcptop: ${wanted.absence}`)
  return { signal: ended.signal, close: clock.every(lookEvery, look) }
}
