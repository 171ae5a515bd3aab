import type { Row, Shown } from '../frame/index.js'

/** Where frames come from: the same for all that one run of `tcptop record` writes. */
export interface Origin {
  /** The host's name. */
  readonly host: string
  /** The id of this boot of the kernel: what it counts from a boot is only unique within that. Null where it cannot be read. */
  readonly boot: string | null
  /** The version of tcptop. */
  readonly program: string
  /** What a row is: the names of the groupings, separated by commas. */
  readonly by: string
}

/** Who moved the bytes of a row: all fields but what was measured. */
export type Identity = Readonly<Omit<Row, 'rx' | 'tx'>>

/** A row as it is recorded: the number of its identity, what it received and sent, and what else was measured. To sum many, rows need not be made. */
export type Entry = readonly [identity: number, rx: number, tx: number, ...more: unknown[]]

/** A frame as it was recorded. `rows` are made of `entries` when they are first read. */
export interface RecordedFrame extends Shown {
  readonly origin: Origin
  /** One list for all frames of a member. */
  readonly identities: readonly Identity[]
  readonly entries: readonly Entry[]
}

/**
 * The fields that identify a row, in the order of the format. A field that is not among them is kept as a measured value: nothing is lost when a
 * new one is forgotten here, but it is written in every frame.
 */
export const identityFields = [
  'pid', 'hostPid', 'start', 'comm', 'family', 'laddr', 'lport', 'raddr', 'rport', 'port', 'cgroup', 'container', 'netns', 'cookie',
] as const

/** Those of them that are numbers; all others are texts. */
export const numericFields: ReadonlySet<string> = new Set(['pid', 'hostPid', 'family', 'lport', 'rport', 'port', 'netns'])
