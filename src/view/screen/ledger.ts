import type { Row } from '../../frame/index.js'

/** A row as it was picked from a frame, with what tells it from all others of its grouping. */
export interface PickedRow {
  readonly key: string
  readonly row: Row
}

/** What the screen remembers of a row. */
export interface Entry {
  readonly key: string
  readonly row: Row
  /** Bytes of the last interval, and a second of it. */
  readonly rx: number
  readonly tx: number
  readonly rxRate: number
  readonly txRate: number
  /** Bytes since it was first seen, or since totals were reset. */
  readonly rxTotal: number
  readonly txTotal: number
  /** Both directions' bytes a second in the last intervals, the latest last. */
  readonly history: readonly number[]
  /** Rates of the intervals by which rows are ordered, the latest last. */
  readonly recent: readonly { readonly rx: number; readonly tx: number }[]
  /** Intervals since it last moved bytes; no more than one beyond `recentLength` are counted: then it is asleep. */
  readonly quiet: number
}

/** Intervals that a graph shows. */
export const historyLength = 20
/** Intervals whose average orders the rows, and for which a row that moves nothing stays on the screen. */
export const recentLength = 3

/** Rows that are asleep and still remembered for their totals. */
const sleepers = 10_000

/** Whether a row is on the screen, or only remembered. */
export const isAwake = ({ quiet }: Entry): boolean => quiet <= recentLength

/** The rows of one grouping, by their keys; those that are asleep stand at the end. */
export type Ledger = ReadonlyMap<string, Entry>

const append = <Value>(values: readonly Value[], value: Value, most: number): Value[] => [...values.slice(1 - most), value]

/** The ledger after a frame of `seconds` in which these rows moved bytes. Rows that have moved nothing for three intervals fall asleep. */
export function advance(ledger: Ledger, picked: Iterable<PickedRow>, seconds: number): Ledger {
  const after = new Map<string, Entry>()
  for (const { key, row } of picked) after.set(key, moved(ledger.get(key), key, row, seconds))
  const rest = [...ledger.values()].filter(({ key }) => !after.has(key))
  for (const entry of rest) if (isAwake(entry)) after.set(entry.key, still(entry))
  // Those that fell asleep last are remembered longest.
  for (const entry of rest.filter(entry => !isAwake(entry)).slice(0, sleepers)) after.set(entry.key, entry)
  return after
}

function moved(known: Entry | undefined, key: string, row: Row, seconds: number): Entry {
  const before = known !== undefined && isAwake(known) ? known : undefined
  const { rx, tx } = row
  const [rxRate, txRate] = [rx / seconds, tx / seconds]
  return {
    key, row, rx, tx, rxRate, txRate,
    rxTotal: (known?.rxTotal ?? 0) + rx,
    txTotal: (known?.txTotal ?? 0) + tx,
    history: append(before?.history ?? [], rxRate + txRate, historyLength),
    recent: append(before?.recent ?? [], { rx: rxRate, tx: txRate }, recentLength),
    quiet: 0,
  }
}

function still(entry: Entry): Entry {
  return {
    ...entry, rx: 0, tx: 0, rxRate: 0, txRate: 0,
    history: append(entry.history, 0, historyLength),
    recent: append(entry.recent, { rx: 0, tx: 0 }, recentLength),
    quiet: entry.quiet + 1,
  }
}

/** The ledger with all totals at zero. */
export function withoutTotals(ledger: Ledger): Ledger {
  return new Map([...ledger].map(([key, entry]) => [key, { ...entry, rxTotal: 0, txTotal: 0 }]))
}

/** The average rate of the last intervals, also of a row that is younger: it moved nothing before. */
export function average(entry: Entry, of: 'rx' | 'tx'): number {
  return entry.recent.reduce((sum, rates) => sum + rates[of], 0) / recentLength
}
