import { firstRows, type Frame, type Row, type RowShape, type Shown, type View } from '../frame/index.js'
import { isIdentity, type RecordedFrame } from './frame.js'
import { type Order, ordered } from './order.js'
import { exact, type Keys, sums } from './sum.js'

/** What the rows of a grouping are by the names of their fields: with what they do not show, so that they can be grouped again. */
export function keysOf({ fields, compared }: Pick<RowShape, 'fields' | 'compared'>): Keys {
  // A process that is not in the tool's pid namespace has no other id.
  const all = compared.includes('pid') ? [...compared, 'hostPid'] : compared
  return { compared: all, shown: [...new Set([...fields.map(({ name }) => name).filter(name => isIdentity.has(name)), ...all])] }
}

/** Recorded frames as frames of a source. */
export async function* recordedFrames(frames: Iterable<RecordedFrame>): AsyncGenerator<Frame, void> {
  for (const frame of frames) yield pickable(frame)
}

/** Sums of recorded frames as frames of a source: of all, or of each `every` seconds, as `sums` has them. */
export async function* summedFrames(frames: Iterable<RecordedFrame>, grouping: RowShape, every?: number): AsyncGenerator<Frame, void> {
  for (const frame of sums(frames, keysOf(grouping), every)) yield pickable(frame)
}

/** The frame with rows by any grouping that tells apart no more than the one by which they were recorded. */
function pickable(frame: Shown): Frame {
  return { ...frame, pick: view => pick(frame.rows, view), count: grouping => grouped(frame.rows, keysOf(grouping)).length }
}

/** Rows as they are wanted: grouped, in order, and no more than so many. */
export function pick(rows: readonly Row[], { grouping, sort, limit }: View): readonly Row[] {
  const groups = grouped(rows, keysOf(grouping))
  if (sort.compare !== undefined) return firstRows(groups, sort.compare, limit, grouping.byFamily)
  const by: Order['by'] = grouping.fields.find(field => field.sort.offset === sort.offset)?.name ?? 'all'
  return ordered(groups, { by, order: sort.order }, limit, grouping.byFamily)
}

/** A row that is alone in its group keeps what else was measured of it. */
function grouped(rows: readonly Row[], { compared, shown }: Keys): Row[] {
  const groups = new Map<string, Row>()
  for (const row of rows) {
    const fields = row as unknown as Readonly<Record<string, unknown>>
    const key = JSON.stringify(compared.map(name => fields[name] ?? null))
    const group = groups.get(key)
    groups.set(key, group === undefined ? row : {
      ...fieldsOf(group, name => isIdentity.has(name)), rx: exact(group.rx + row.rx), tx: exact(group.tx + row.tx),
    })
  }
  return Array.from(groups.values(), row => fieldsOf(row, name => shown.includes(name) || !isIdentity.has(name)))
}

function fieldsOf(row: Row, isWanted: (name: string) => boolean): Row {
  return Object.fromEntries(Object.entries(row).filter(([name]) => isWanted(name))) as unknown as Row
}
