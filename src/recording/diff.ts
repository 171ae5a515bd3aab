import type { Row } from '../frame/index.js'
import { cells, jsonText, pad, printable } from '../trace/index.js'
import { exact, type Keys, type Sum } from './sum.js'

/** Bytes of each direction. */
interface Bytes {
  readonly rx: number
  readonly tx: number
}

/** What became of a group between two sums. Bytes are 0 where it is not there. */
export interface Change {
  /** `shifted`: as many bytes as before, in other directions. */
  readonly kind: 'grew' | 'shrank' | 'shifted' | 'appeared' | 'vanished'
  /** The fields of the group, as of where it is last. */
  readonly row: Row
  readonly before: Bytes
  readonly after: Bytes
  /** After less before, of both directions. */
  readonly change: number
  /** In percent of before; null of what was not there. */
  readonly percent: number | null
}

/** One side of a comparison. */
export interface Side {
  readonly begin: Date
  readonly end: Date
  /** Seconds that frames are of: less than from begin to end where nothing was recorded. */
  readonly seconds: number
  readonly total: Bytes
  readonly lost: Bytes
}

/** How two times differ. */
export interface Difference {
  readonly before: Side
  readonly after: Side
  /** The largest change first; what is as before is not among them. */
  readonly changes: readonly Change[]
}

/** Compares two sums of the same keys. Undefined when one of them has no frames. */
export function compare(before: Sum, after: Sum): Difference | undefined {
  const [from, to] = [sideOf(before), sideOf(after)]
  if (from === undefined || to === undefined) return undefined
  const [old, now] = [before.rows, after.rows]
  const changes = [...new Set([...old.keys(), ...now.keys()])].flatMap(key => changeOf(old.get(key), now.get(key)))
  return { before: from, after: to, changes: changes.sort((one, other) => Math.abs(other.change) - Math.abs(one.change)) }
}

function sideOf(sum: Sum): Side | undefined {
  const { frame, begin } = sum
  if (frame === undefined || begin === undefined) return undefined
  return { begin, end: frame.time, seconds: frame.interval, total: frame.total, lost: { rx: frame.lost.rx, tx: frame.lost.tx } }
}

const none: Bytes = { rx: 0, tx: 0 }

function changeOf(before: Row | undefined, after: Row | undefined): Change[] {
  const row = after ?? before!
  const [{ rx, tx }, now] = [before ?? none, after ?? none]
  const old = exact(rx + tx)
  const change = exact(now.rx + now.tx) - old
  if (rx === now.rx && tx === now.tx) return []
  return [{
    kind: before === undefined ? 'appeared' : after === undefined ? 'vanished' : change < 0 ? 'shrank' : change > 0 ? 'grew' : 'shifted',
    row,
    before: { rx, tx },
    after: { rx: now.rx, tx: now.tx },
    change,
    percent: old === 0 ? null : 100 * change / old,
  }]
}

/** One line of JSON. Bytes are integers, `percent` has one decimal and is null of what was not there before. */
export function differenceJson({ before, after, changes }: Difference, { shown }: Keys): string {
  const side = ({ begin, end, seconds, total, lost }: Side) => ({ begin, end, seconds: Math.round(seconds * 1e6) / 1e6, total, lost })
  return `${jsonText({
    v: 1,
    before: side(before),
    after: side(after),
    rows: changes.map(({ kind, row, before, after, change, percent }) => {
      const fields = row as unknown as Readonly<Record<string, unknown>>
      return { kind, ...Object.fromEntries(shown.map(name => [name, fields[name]])), before, after, change, percent: percent && Math.round(10 * percent) / 10 }
    }),
  })}\n`
}

/** How far the lengths of two times may be apart before a reader should know: 1 %. */
const near = 0.01

/** A table, with a line about each side before it. KB are 1,024 bytes of both directions. */
export function differenceText({ before, after, changes }: Difference, { shown }: Keys, limit = Infinity): string {
  const kilobytes = (bytes: number) => `${Math.trunc(bytes / 1024)}`
  const signed = (value: number, text: string) => value > 0 ? `+${text}` : text
  const sides = ([['before', before], ['after', after]] as const).map(([name, { begin, end, seconds, total: { rx, tx } }]) =>
    `${pad(name, 6)} ${begin.toISOString()} to ${end.toISOString()}: ${seconds.toFixed(1)} s, ${kilobytes(rx)} KB received and ${kilobytes(tx)} KB sent`)
  const ratio = after.seconds / before.seconds
  const note = Math.abs(ratio - 1) > near ? [`note: after is ${ratio.toFixed(2)} times as long as before`] : []
  const lines = changes.slice(0, limit).map(({ kind, row, before, after, change, percent }) => {
    const fields = row as unknown as Readonly<Record<string, unknown>>
    return [
      ...shown.map(name => printable(`${fields[name] ?? '-'}`)), kilobytes(before.rx + before.tx), kilobytes(after.rx + after.tx),
      signed(change, kilobytes(change)), percent === null ? '-' : signed(percent, percent.toFixed(1)), kind,
    ]
  })
  const head = [...shown.map(name => name.toUpperCase()), 'BEFORE_KB', 'AFTER_KB', 'CHANGE_KB', 'CHANGE_%', 'WHAT']
  const table = lines.length === 0 ? [] : [head, ...lines]
  const widths = head.map((_, column) => table.reduce((most, line) => Math.max(most, cells(line[column]!)), 0))
  const isNumber = (column: number) => column >= shown.length && column < head.length - 1
  const texts = table.map(line => line.map((cell, column) => pad(cell, widths[column]!, isNumber(column) ? 'right' : 'left')).join(' ').trimEnd())
  return [...sides, ...note, '', ...texts.length === 0 ? ['nothing changed'] : texts].map(line => `${line}\n`).join('')
}
