import type { Origin, Row, Shown } from '../frame/index.js'

/** Where recorded frames come from: the same for all that one run of `tcptop record` writes. */
export interface Run extends Origin {
  /** The version of tcptop. */
  readonly program: string
  /** What a row is: the names of the groupings, separated by commas. */
  readonly by: string
}

/** Who moved the bytes of a row: all fields but what was measured. */
export type Identity = Readonly<Omit<Row, 'rx' | 'tx'>>

/** A row as it is recorded: the number of its identity, what it received and sent, and what else was measured. To sum many, rows need not be made. */
export type Entry = readonly [identity: number, rx: number, tx: number, ...more: unknown[]]

/** What is read of a frame. */
interface Read extends Omit<Shown, 'rows'> {
  readonly origin: Run
  /** One list for all frames of a member. */
  readonly identities: readonly Identity[]
  /** Names of the values of an entry. */
  readonly values: readonly string[]
  readonly entries: readonly Entry[]
}

/** A frame as it was recorded. Its `rows` are made of the entries when they are first read, and are not copied by a spread. */
export interface RecordedFrame extends Read {
  readonly rows: Shown['rows']
}

export function withRows(read: Read): RecordedFrame {
  const { identities, values, entries } = read
  let rows: readonly Row[] | undefined
  const get = () => rows ??= entries.map(entry => rowOf(entry, identities, values))
  return Object.defineProperty({ ...read }, 'rows', { get, configurable: true }) as RecordedFrame
}

function rowOf(entry: Entry, identities: readonly Identity[], values: readonly string[]): Row {
  const [index, rx, tx] = entry
  const row: Row & Record<string, unknown> = { ...identities[index], rx, tx }
  for (let at = 3; at < entry.length; at++) if (entry[at] !== null) row[values[at - 1]!] = entry[at]
  return row
}

/** The frame with these rows alone, and the totals of them. */
export function only(frame: RecordedFrame, where: (identity: Identity) => boolean): RecordedFrame {
  const isWanted = frame.identities.map(where)
  const entries = frame.entries.filter(([index]) => isWanted[index])
  const total = entries.reduce((sum, [, rx, tx]) => ({ rx: sum.rx + rx, tx: sum.tx + tx }), { rx: 0, tx: 0 })
  return withRows({ ...frame, entries, total })
}

/**
 * The fields that identify a row, in the order of the format. A field that is not among them is kept as a measured value: nothing is lost when a
 * new one is forgotten here, but it is written in every frame.
 */
export const identityFields = [
  'pid', 'hostPid', 'start', 'comm', 'family', 'laddr', 'lport', 'raddr', 'rport', 'port', 'cgroup', 'container', 'netns', 'cookie',
] as const

export const isIdentity: ReadonlySet<string> = new Set(identityFields)

/** Those of them that are numbers; all others are texts. */
export const numericFields: ReadonlySet<string> = new Set(['pid', 'hostPid', 'family', 'lport', 'rport', 'port', 'netns'])
