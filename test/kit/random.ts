/** Numbers from a seed, so that a random test that failed can be run again: `SEED` in the environment. */
export class Random {
  readonly seed: number
  #state: number

  constructor(seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))) {
    this.seed = this.#state = seed >>> 0
  }

  /** A whole number from 0 to below `end` (mulberry32). */
  below(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ this.#state >>> 15, this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61)
    return Math.floor(((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32 * end)
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!
  }

  chance(probability: number): boolean {
    return this.below(1_000_000) < probability * 1_000_000
  }

  /** Runs `check` with the seed in the message of whatever it throws. */
  repeat(times: number, check: (turn: number) => void): void {
    for (let turn = 0; turn < times; turn++) {
      try {
        check(turn)
      } catch (error) {
        if (error instanceof Error) error.message += ` (turn ${turn}, SEED=${this.seed})`
        throw error
      }
    }
  }
}

/** A test that gets random numbers and says with which seed it failed. */
export function seeded(body: (random: Random) => Promise<void>): () => Promise<void> {
  return async () => {
    const random = new Random()
    await body(random).catch((error: Error) => {
      error.message += ` (SEED=${random.seed})`
      throw error
    })
  }
}
