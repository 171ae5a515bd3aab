import type { Row, Sort } from '../frame/index.js'
import { Identity, Row as At, Value } from '../layout.js'
import { type Column, column, commonSorts, type Field, unseen } from './column.js'

/** What a row is: the flows that agree in the grouping's fields. */
export interface Grouping {
  readonly name: string
  /** What a row is, for the help. */
  readonly description: string
  /** Whether IPv4 and IPv6 are apart, each with its own table and its own limit of rows. */
  readonly byFamily: boolean
  readonly columns: readonly Column[]
  /** The fields of the columns and what the table does not show, in the order of JSON and CSV. */
  readonly fields: readonly Field[]
  /** What its rows can be sorted by. */
  readonly sorts: ReadonlyMap<string, Sort>
  /** `Identity.size` bytes: 0xff where flows of a row agree, 0 elsewhere. */
  mask(): Uint8Array
  /** Reads the row at `offset` (layout `Row`); what the grouping leaves out is absent. */
  decode(view: DataView, offset: number): Row
}

/** A part of the identity that separates rows but is not shown. */
interface Hidden {
  readonly offset: number
  readonly size: number
}

const hiddenAt = (offset: number, size: number): Hidden => ({ offset: At.identity + offset - Identity.start, size })
/** The same addresses and ports in two containers are two connections. */
const netns = hiddenAt(Value.netns, 4)
/** The same id at another time is another process. */
const start = hiddenAt(Value.start, 8)

/** All groupings, the default first. */
export const groupings: readonly Grouping[] = [
  grouping('connection', 'a process and the two ends of its connection', true,
    [column.pid, column.comm, column.local, column.remote], unseen, [netns]),
  grouping('process', 'a process', false, [column.pid, column.comm]),
  grouping('comm', 'a name of processes', false, [column.comm]),
  grouping('host', 'a remote address', true, [column.host]),
  grouping('port', 'the port of a service, here or there', false, [column.port]),
  grouping('cgroup', 'a cgroup, such as a container or a service', false, [column.cgroup]),
]

function grouping(
  name: string, description: string, byFamily: boolean, keys: readonly Column[], more: readonly Field[] = [], hidden: readonly Hidden[] = [],
): Grouping {
  const columns = [...keys, column.rx, column.tx]
  const fieldsOf = (columns: readonly Column[]) => columns.flatMap(column => column.fields)
  const fields = [...fieldsOf(keys), ...more, column.rx.fields[0], column.tx.fields[0]]
  // A process is one whatever it is called.
  const isOfProcess = keys.includes(column.pid)
  const compared = [...fieldsOf(keys), ...more].filter(({ name }) => !(isOfProcess && name === 'comm'))
  const agreed = [...compared.map(({ sort }) => sort), ...isOfProcess ? [start] : [], ...hidden]
  return {
    name,
    description,
    byFamily,
    columns,
    fields,
    sorts: sortsOf(columns),
    mask: () => agreed.reduce(
      (mask, { offset, size }) => mask.fill(0xff, offset - At.identity, offset - At.identity + size),
      new Uint8Array(Identity.size)),
    decode: (view, offset) => {
      const entries = fields.map(field => [field.name, field.read(view, offset)])
      // A field reads what `Row` has by its name, which `Object.fromEntries` cannot know.
      return Object.fromEntries(entries) as Row
    },
  }
}

/**
 * The common keys, then header words in lower case, or the fields of a column with several. A family is a table of its
 * own and sorts nothing.
 */
function sortsOf(columns: readonly Column[]): ReadonlyMap<string, Sort> {
  const sorts = new Map(Object.entries(commonSorts))
  for (const { name, fields } of columns) {
    const shown = fields.filter(field => field.name !== 'family')
    if (shown.length === 1) sorts.set(name.toLowerCase(), shown[0]!.sort)
    else for (const field of shown) sorts.set(field.name, field.sort)
  }
  return sorts
}
