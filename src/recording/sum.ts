import type { Row, Shown } from '../frame/index.js'
import type { Entry, Identity, RecordedFrame } from './frame.js'

/** What the rows of a sum are. */
export interface Keys {
  /** Fields in which rows of a group agree. */
  readonly compared: readonly string[]
  /** Fields that a group has, as of its latest row. */
  readonly shown: readonly string[]
}

interface Group {
  identity: Identity
  rx: number
  tx: number
}

/**
 * Sums of recorded frames: rows by group, totals, losses and costs. Sums are whole numbers and exact; one beyond 2^53 - 1 bytes (9 petabytes, more
 * than a week of 100 Gbit/s) would not be, and throws RangeError.
 */
export class Sum {
  readonly #groups = new Map<string, Group>()
  /** The groups of the identities that frames of a member have in common, by their numbers. */
  #identities: readonly Identity[] = []
  #known: (Group | undefined)[] = []
  #first: RecordedFrame | undefined
  #last: RecordedFrame | undefined
  readonly #total = { rx: 0, tx: 0 }
  readonly #lost = { events: 0, rx: 0, tx: 0 }
  #missed: number | null = 0
  #runs: number | null = 0
  #run: number | null = 0
  #seconds = 0
  #cpu = 0
  #drain = 0

  constructor(readonly keys: Keys) {}

  add(frame: RecordedFrame): void {
    this.#first ??= frame
    this.#last = frame
    const { identities, entries, interval, total, lost, missed, cost } = frame
    if (identities !== this.#identities) {
      this.#identities = identities
      this.#known = []
    }
    for (const entry of entries) this.#addEntry(entry)
    add(this.#total, total)
    add(this.#lost, lost)
    this.#lost.events = exact(this.#lost.events + lost.events)
    this.#missed = plus(this.#missed, missed)
    this.#runs = plus(this.#runs, cost.runs)
    this.#run = plus(this.#run, cost.run)
    this.#seconds += interval
    this.#cpu += cost.cpu * interval
    this.#drain += cost.drain
  }

  /** The sum as a frame that ends with the last one, its rows in the order in which they were first seen; undefined when nothing was added. */
  get frame(): Shown | undefined {
    const last = this.#last
    if (last === undefined) return undefined
    return {
      origin: last.origin,
      time: last.time,
      interval: this.#seconds,
      backend: last.backend,
      loadavg: last.loadavg,
      rows: Array.from(this.#groups.values(), group => this.#row(group)),
      total: { ...this.#total },
      sinceStart: last.sinceStart,
      lost: { ...this.#lost },
      flows: last.flows,
      missed: this.#missed,
      cost: { cpu: this.#seconds === 0 ? 0 : this.#cpu / this.#seconds, drain: this.#drain, runs: this.#runs, run: this.#run },
    }
  }

  /** When the first frame began. */
  get begin(): Date | undefined {
    return this.#first && new Date(this.#first.time.getTime() - 1000 * this.#first.interval)
  }

  /** The rows by the text of what they agree in, which is the same in all sums of these keys. */
  get rows(): ReadonlyMap<string, Row> {
    return new Map(Array.from(this.#groups, ([key, group]) => [key, this.#row(group)]))
  }

  #addEntry([index, rx, tx]: Entry): void {
    const group = this.#known[index] ??= this.#groupOf(this.#identities[index]!)
    group.rx = exact(group.rx + rx)
    group.tx = exact(group.tx + tx)
  }

  #groupOf(identity: Identity): Group {
    const key = JSON.stringify(pick(identity, this.keys.compared))
    const group = this.#groups.get(key)
    if (group !== undefined) return Object.assign(group, { identity })
    const made = { identity, rx: 0, tx: 0 }
    this.#groups.set(key, made)
    return made
  }

  #row({ identity, rx, tx }: Group): Row {
    return { ...pick(identity, this.keys.shown), rx, tx }
  }
}

/**
 * Sums of all frames, or of each `every` seconds of UTC, which begin at whole multiples of that; those without frames are skipped. Frames are read as
 * the sums are taken. Throws RangeError as `Sum`.
 */
export function* sums(frames: Iterable<RecordedFrame>, keys: Keys, every?: number): Generator<Shown> {
  const partOf = ({ time }: RecordedFrame) => every === undefined ? 0 : Math.ceil(time.getTime() / (1000 * every))
  let sum = new Sum(keys)
  let part: number | undefined
  for (const frame of frames) {
    const next = partOf(frame)
    if (part !== undefined && next !== part) {
      yield sum.frame!
      sum = new Sum(keys)
    }
    part = next
    sum.add(frame)
  }
  if (sum.frame !== undefined) yield sum.frame
}

function pick(identity: Identity, names: readonly string[]): Identity {
  const fields = identity as Readonly<Record<string, unknown>>
  return Object.fromEntries(names.flatMap(name => fields[name] === undefined ? [] : [[name, fields[name]]]))
}

function add(sum: { rx: number; tx: number }, { rx, tx }: { readonly rx: number; readonly tx: number }): void {
  sum.rx = exact(sum.rx + rx)
  sum.tx = exact(sum.tx + tx)
}

/** What is not known of a part is not known of the whole. */
function plus(sum: number | null, more: number | null): number | null {
  return sum === null || more === null ? null : sum + more
}

/** Of whole numbers. Throws RangeError when the sum cannot be exact. */
export function exact(sum: number): number {
  if (sum <= Number.MAX_SAFE_INTEGER) return sum
  throw new RangeError('the sum is more than 2^53 - 1 bytes, which is not exact any more: ask for less time')
}
