import { RowLayout, Value } from '../layout.js'

/** Something that is measured of each flow. */
export interface Measure {
  /** What it is called in rows, JSON and CSV. */
  readonly name: string
  /** Where the value of a flow has it, a u64: an offset of `Value`. */
  readonly from: number
  /**
   * How those of several flows make one, of the flows that moved something in a frame. A `sum` is of a counter, which only ever grows: a row has
   * what it grew by in the frame. Others are gauges: a row has the largest, or the one that was read last.
   */
  readonly merge: 'sum' | 'max' | 'last'
  readonly unit: 'bytes' | 'nanoseconds'
  /** Whether it is part of what a row moved in all, by which rows sort. Of counters only. */
  readonly traffic?: true
}

/**
 * All counters and gauges, in the order of columns, JSON and CSV. To add one takes an entry here, apart from the programs that write it: the layout
 * of rows, the aggregation, columns, sort keys, JSON and CSV follow from the list.
 */
export const measures = [
  { name: 'rx', from: Value.rx, merge: 'sum', unit: 'bytes', traffic: true },
  { name: 'tx', from: Value.tx, merge: 'sum', unit: 'bytes', traffic: true },
] as const satisfies readonly Measure[]

type Known = typeof measures[number]
/** What was measured in one frame, by name. */
export type Amounts = { readonly [name in Known['name']]: number }
/** The same of the counters alone. */
export type Counts = { readonly [name in Extract<Known, { merge: 'sum' }>['name']]: number }

/** Measures in the order of their amounts in a row: traffic, other counters, gauges. */
export function inRow(measures: readonly Measure[]): readonly Measure[] {
  const rank = ({ merge, traffic }: Measure) => traffic ? 0 : merge === 'sum' ? 1 : 2
  return measures.toSorted((one, other) => rank(one) - rank(other))
}

/** Where a row has the amount of a measure. */
export function offsetIn(measures: readonly Measure[], measure: Measure): number {
  return RowLayout.amounts + 8 * inRow(measures).indexOf(measure)
}
