import { type Measure, measures as known, type Row, type RowShape, type Sort } from '../frame/index.js'
import { Identity, RowLayout as At, Value } from '../layout.js'
import { type Column, column, commonSorts, type RowField, measureColumns, startOf, unseen } from './column.js'

/** What a row is: the flows that agree in the grouping's fields. */
export interface Grouping extends RowShape {
  /** What the user calls it: names separated by commas. */
  readonly name: string
  readonly criteria: readonly Criterion[]
  readonly columns: readonly Column[]
  /** The fields of the columns and what the table does not show, in the order of JSON and CSV. */
  readonly fields: readonly RowField[]
  /** What its rows can be sorted by. */
  readonly sorts: ReadonlyMap<string, Sort>
}

/** What flows can be grouped by, alone or with others. */
export interface Criterion {
  readonly name: string
  readonly columns: readonly Column[]
  /** What JSON and CSV have of it and the table does not. */
  readonly unseen: readonly RowField[]
  /** What of an identity its flows agree in. */
  readonly agreed: readonly Extent[]
}

/** Bytes of an identity, where they are in a row. */
interface Extent {
  readonly name: string
  readonly offset: number
  readonly size: number
}

const hiddenAt = (name: string, offset: number, size: number): Extent => ({ name, offset: At.identity + offset - Identity.start, size })
/** The same addresses and ports in two containers are two connections. */
const netns = hiddenAt('netns', Value.netns, 4)
/** The same id at another time is another process. */
const start = hiddenAt('start', Value.start, 8)

const fieldsOf = (columns: readonly Column[]) => columns.flatMap(column => column.fields)
const isComm = ({ name }: RowField) => name === 'comm'
const isIn = (extent: Pick<Extent, 'offset'>, extents: readonly Extent[]) => extents.some(({ offset }) => offset === extent.offset)

/** All criteria, the default first. */
const criteria: readonly Criterion[] = [
  criterion('connection', [column.pid, column.comm, column.local, column.remote], unseen, [netns]),
  criterion('process', [column.pid, column.comm]),
  criterion('comm', [column.comm]),
  criterion('host', [column.host]),
  criterion('port', [column.port]),
  criterion('cgroup', [column.cgroup]),
]

function criterion(name: string, columns: readonly Column[], unseen: readonly RowField[] = [], hidden: readonly Extent[] = []): Criterion {
  // A process is one whatever it is called.
  const isOfProcess = columns.includes(column.pid)
  const compared = [...fieldsOf(columns), ...unseen].filter(field => !(isOfProcess && isComm(field)))
  return { name, columns, unseen, agreed: [...compared.map(({ name, sort: { offset, size } }) => ({ name, offset, size })), ...isOfProcess ? [start] : [], ...hidden] }
}

/** A grouping by each criterion, where so much is measured. */
export function groupingsWith(measures: readonly Measure[]): readonly Grouping[] {
  return criteria.map(criterion => groupingBy([criterion], measures))
}

/** All groupings by one criterion, the default first. */
export const groupings: readonly Grouping[] = groupingsWith(known)

/**
 * The grouping that tells apart all that these do; columns are in their order, each once, and those of which others show all are left out. Of one
 * grouping, however often it is named, it is that.
 */
export function together(groupings: readonly Grouping[], measures: readonly Measure[] = known): Grouping {
  const all = [...new Set(groupings.flatMap(({ criteria }) => criteria))]
  return groupings.find(({ criteria }) => criteria.length === all.length) ?? groupingBy(all, measures)
}

function groupingBy(criteria: readonly Criterion[], measures: readonly Measure[]): Grouping {
  const agreed = criteria.flatMap(({ agreed }) => agreed)
  const shown = withoutRepeats([...new Set(criteria.flatMap(({ columns }) => columns))])
  const measured = measureColumns(measures)
  const columns = [...shown, ...measured]
  const fields = [...new Set([...fieldsOf(shown), ...criteria.flatMap(({ unseen }) => unseen), ...fieldsOf(measured)])]
  // What is counted under a name stays with it; otherwise a process is shown by the name that it has now.
  const isRenamed = shown.includes(column.pid) && !isIn(column.comm.fields[0].sort, agreed)
  return {
    name: criteria.map(({ name }) => name).join(),
    criteria,
    compared: [...new Set(agreed.map(({ name }) => name))],
    byFamily: shown.some(({ ipv6 }) => ipv6 !== undefined),
    columns,
    fields,
    sorts: sortsOf(columns, measures, isRenamed),
    mask: () => agreed.reduce(
      (mask, { offset, size }) => mask.fill(0xff, offset - At.identity, offset - At.identity + size),
      new Uint8Array(Identity.size)),
    decode: (view, offset) => {
      const entries = fields.map(field => [field.name, field.read(view, offset)])
      // A field reads what `Row` has by its name, which `Object.fromEntries` cannot know.
      return Object.fromEntries(entries) as unknown as Row
    },
    startOf: (view, offset) => isRenamed ? startOf(view, offset) : undefined,
  }
}

/**
 * The grouping with the fields that distinguish its rows and are not shown, for sinks that need them: `netns`, the inode of the network namespace, and
 * `start`, when the process started, in nanoseconds of the kernel's clock as a decimal text.
 */
export function withHidden(grouping: Grouping): Grouping {
  const isTold = ({ name }: Extent) => grouping.compared.includes(name)
  return {
    ...grouping,
    decode: (view, offset) => ({
      ...grouping.decode(view, offset),
      ...isTold(netns) ? { netns: view.getUint32(offset + netns.offset, true) } : {},
      ...isTold(start) ? { start: `${view.getBigUint64(offset + start.offset, true)}` } : {},
    }),
  }
}

/** Leaves out columns whose fields are all in others: the host of a connection. */
function withoutRepeats(columns: readonly Column[]): readonly Column[] {
  return columns.reduce((kept, column) => {
    const others = kept.filter(other => other !== column)
    return column.fields.every(field => fieldsOf(others).includes(field)) ? others : kept
  }, columns)
}

/**
 * The common keys, then header words in lower case, or the fields of a column with several. A family is a table of its
 * own and sorts nothing.
 */
function sortsOf(columns: readonly Column[], measures: readonly Measure[], isRenamed: boolean): ReadonlyMap<string, Sort> {
  const sorts = new Map<string, Sort>(Object.entries(commonSorts(measures)))
  for (const { name, fields } of columns) {
    const shown = fields.filter(field => field.name !== 'family')
    if (shown.length === 1) sorts.set(name.toLowerCase(), isRenamed && isComm(shown[0]!) ? { ...shown[0]!.sort, compare: byName } : shown[0]!.sort)
    else for (const field of shown) sorts.set(field.name, field.sort)
  }
  return sorts
}

/** By the bytes of the names that are shown, then as rows that tie always are. */
function byName(one: Row, other: Row): number {
  return Buffer.compare(Buffer.from(one.comm ?? ''), Buffer.from(other.comm ?? '')) || other.rx + other.tx - one.rx - one.tx
}
