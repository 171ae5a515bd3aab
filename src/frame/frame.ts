import type { Counts } from './measure.js'
import type { Row, Sort } from './row.js'

/** One update: all that passes between a source of frames and its sinks. */
export interface Frame {
  /** Where it was counted, where that is known. */
  readonly origin?: Origin
  readonly time: Date
  /** Seconds measured since the previous frame. */
  readonly interval: number
  readonly backend: string
  /** The line of /proc/loadavg without its newline; null when it cannot be read. */
  readonly loadavg: string | null
  /** All rows' bytes, picked or not, in this frame and since the start. */
  readonly total: Counts
  readonly sinceStart: Counts
  /** What was counted but could not be attributed to a row. */
  readonly lost: Counts & { readonly events: number }
  /** Runs of the programs that the kernel skipped; null where it does not count them. */
  readonly missed: number | null
  /** Flows that are known. */
  readonly flows: number
  readonly cost: Cost
  /** How many rows it has by a grouping. Throws Error when the next frame is there. */
  count(grouping: RowShape): number
  /**
   * Its rows as somebody wants them, sorted; any number of times and by any grouping that its source knows of, until the next frame is there.
   * Throws Error afterwards.
   */
  pick(view: View): readonly Row[]
}

/** The host on which a frame was counted. */
export interface Origin {
  /** Its name. */
  readonly host: string
  /** The id of its boot: what the kernel counts from a boot is only unique within that. Null where it cannot be read. */
  readonly boot: string | null
}

/** What is wanted of a frame. */
export interface View {
  readonly grouping: RowShape
  readonly sort: Sort
  /** Rows at most, of each family where these are apart. */
  readonly limit: number
}

/** What a source of frames has to know of a grouping: what a row is, and how it is read. */
export interface RowShape {
  /** Whether IPv4 and IPv6 are apart, each with its own limit of rows. */
  readonly byFamily: boolean
  /** The fields that rows have and how each sorts: for a source that has rows and no bytes. */
  readonly fields: readonly { readonly name: keyof Row; readonly sort: Sort }[]
  /** Names of the fields in which the flows of a row agree: also of some that rows do not have, `netns` and `start`. */
  readonly compared: readonly string[]
  /** `Identity.size` bytes: 0xff where flows of a row agree, 0 elsewhere. */
  mask(): Uint8Array
  /** Reads the row at `offset` (layout `Row`); what the grouping leaves out is absent. */
  decode(view: DataView, offset: number): Row
  /** When the process of the row at `offset` started (`Value.start`); undefined where a row keeps the name under which it was counted. */
  startOf(view: DataView, offset: number): bigint | undefined
}

/** A frame with the rows that were picked of it: what a format prints. */
export type Shown = Omit<Frame, 'pick' | 'count'> & { readonly rows: readonly Row[] }

/** What it means that the kernel skipped runs of the programs, in words. */
export function missedText(missed: number): string {
  return `the kernel skipped ${missed} program runs: bytes may show later, or in the row of another process that uses the same socket`
}

/** What the tool itself cost since the previous frame. */
export interface Cost {
  /** Share of one processor that its process took. */
  readonly cpu: number
  /** Seconds in which it read the kernel's map. */
  readonly drain: number
  /** Of its programs, in whatever process they ran, and their seconds; null where the kernel keeps no statistics. */
  readonly runs: number | null
  readonly run: number | null
}
