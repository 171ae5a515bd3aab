/** Who moved bytes between which ends: one group of flows in one frame. What a grouping leaves out is absent. */
export interface Row {
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
  /** Bytes received and sent in this frame. */
  readonly rx: number
  readonly tx: number
}

/** One update: all that passes between the tracer and the formats. */
export interface Frame {
  readonly time: Date
  /** Seconds measured since the previous frame. */
  readonly interval: number
  readonly backend: string
  /** The line of /proc/loadavg without its newline; null when it cannot be read. */
  readonly loadavg: string | null
  /** Sorted, at most the number asked for of each family. */
  readonly rows: readonly Row[]
  /** All rows' bytes, shown or not. */
  readonly total: { readonly rx: number; readonly tx: number }
  /** What was counted but could not be attributed to a row. */
  readonly lost: { readonly events: number; readonly rx: number; readonly tx: number }
  /** Runs of the programs that the kernel skipped; null where it does not count them. */
  readonly missed: number | null
  readonly cost: Cost
}

/** What it means that the kernel skipped runs of the programs, in words. */
export function missedText(missed: number): string {
  return `the kernel skipped ${missed} program runs: bytes may show later, or in the row of another process that uses the same socket`
}

/** What the tool itself cost since the previous frame. */
export interface Cost {
  /** Share of one processor that its process took. */
  readonly cpu: number
  /** Seconds in which it read the kernel's map and picked the rows. */
  readonly drain: number
  /** Of its programs, in whatever process they ran, and their seconds; null where the kernel keeps no statistics. */
  readonly runs: number | null
  readonly run: number | null
}
