import type { Amounts } from './measure.js'

/** Who moved bytes between which ends: one group of flows in one frame. What a grouping leaves out is absent. */
export interface Row extends Amounts {
  /** As it is called where the tool runs; absent of a process that is not in the tool's pid namespace. */
  readonly pid?: number
  /** As the host calls it, where that is another namespace than the tool's. */
  readonly hostPid?: number
  readonly comm?: string
  readonly family?: 4 | 6
  readonly laddr?: string
  readonly lport?: number
  readonly raddr?: string
  readonly rport?: number
  /** The service's port: local of an accepted connection, remote of an opened one. */
  readonly port?: number
  /** The path of the process' cgroup v2 below where that is mounted; its id where there is no path any more. */
  readonly cgroup?: string
}

/** What rows are sorted by. */
export interface Sort {
  /** A field of the layout `Row` and its bytes. Fields of 2 and 16 bytes sort as bytes, those of 4 and 8 as numbers. */
  readonly offset: number
  readonly size: 2 | 4 | 8 | 16
  readonly order: 'descending' | 'ascending'
  /** Which of two rows comes first, where that depends on how they are shown: all of them are then decoded, wanted or not. */
  readonly compare?: (one: Row, other: Row) => number
}

/** The first `limit` rows in order, of all or, if `byFamily`, of IPv4 and then of IPv6. Rows that tie stay as they are. */
export function firstRows(rows: readonly Row[], compare: (one: Row, other: Row) => number, limit: number, byFamily: boolean): Row[] {
  const groups = byFamily ? [rows.filter(({ family }) => family !== 6), rows.filter(({ family }) => family === 6)] : [rows]
  return groups.flatMap(group => group.toSorted(compare).slice(0, limit))
}
