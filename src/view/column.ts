import { type Measure, offsetIn, type Row, type Sort } from '../frame/index.js'
import { Identity, RowLayout as At, Value } from '../layout.js'
import { addressText, cText, cut, printable } from '../trace/index.js'
import { shortCgroup } from './cgroup.js'

/** A field of a row as WASM hands it out: where it is, how it reads and how one sorts by it. */
export interface RowField<Name extends keyof Row = keyof Row> {
  /** Its name in `Row`, in JSON, in CSV and as a sort key. */
  readonly name: Name
  /** How it sorts, which is also where it is and how many bytes it has. Numbers that measure are largest first. */
  readonly sort: Sort
  /** Reads it from the row at `row`. */
  read(view: DataView, row: number): Row[Name]
}

/** A column of the table. It shows one field or several. */
export interface Column {
  /** The header word. */
  readonly name: string
  readonly fields: readonly RowField[]
  /** Least width; a column that may be `wider` takes what its longest text needs. */
  readonly width: number
  /** The header word and the width where the addresses are IPv6, if they differ. */
  readonly ipv6?: { readonly name: string; readonly width: number }
  readonly align: 'left' | 'right'
  readonly wider?: boolean
  text(row: Row): string
}

/** Where an offset of `Value` is in a row. */
const identity = (offset: number) => At.identity + offset - Identity.start

// WebAssembly's memory is little-endian on every machine.
const uint16 = (view: DataView, at: number) => view.getUint16(at, true)
const uint32 = (view: DataView, at: number) => view.getUint32(at, true)
/** Exact up to 2^53. */
const uint64 = (view: DataView, at: number) => Number(view.getBigUint64(at, true))
const networkUint16 = (view: DataView, at: number) => view.getUint16(at)

function field<Name extends keyof Row>(
  name: Name, offset: number, size: Sort['size'], read: (view: DataView, at: number) => Row[Name],
  order: Sort['order'] = 'ascending',
): RowField<Name> {
  return { name, sort: { offset, size, order }, read: (view, row) => read(view, row + offset) }
}

const pid = field('pid', identity(Value.pid), 4, uint32)
const comm = field('comm', identity(Value.comm), 16, (view, at) => cText(view, at, 16))
/** When the process of the row at `row` started: see `Value.start`. */
export const startOf = (view: DataView, row: number) => view.getBigUint64(row + identity(Value.start), true)

const family = field('family', identity(Value.family), 2, (view, at) => uint16(view, at) === 6 ? 6 : 4)
const laddr = field('laddr', identity(Value.laddr), 16, addressText)
const lport = field('lport', identity(Value.lport), 2, networkUint16)
const raddr = field('raddr', identity(Value.raddr), 16, addressText)
const rport = field('rport', identity(Value.rport), 2, networkUint16)
const port = field('port', identity(Value.service), 2, networkUint16)
/** The id, as the kernel reports it: `CgroupPaths` knows the path. */
const cgroup = field('cgroup', identity(Value.cgroup), 4, (view, at) => `${uint32(view, at)}`)

/** All columns of what a row is. Header words, widths and alignment are bcc's (tools/tcptop.py) where it has them. */
export const column = {
  pid: { name: 'PID', fields: [pid], width: 7, align: 'left', text: row => `${row.pid ?? '-'}` },
  comm: { name: 'COMM', fields: [comm], width: 12, align: 'left', text: row => cut(printable(row.comm ?? ''), 12) },
  local: {
    name: 'LADDR', fields: [family, laddr, lport], width: 21, ipv6: { name: 'LADDR6', width: 32 },
    align: 'left', wider: true,
    text: row => `${row.laddr}:${row.lport}`,
  },
  remote: {
    name: 'RADDR', fields: [raddr, rport], width: 21, ipv6: { name: 'RADDR6', width: 32 },
    align: 'left', wider: true,
    text: row => `${row.raddr}:${row.rport}`,
  },
  host: {
    name: 'RADDR', fields: [raddr, family], width: 15, ipv6: { name: 'RADDR6', width: 39 },
    align: 'left', wider: true,
    text: row => `${row.raddr}`,
  },
  port: { name: 'PORT', fields: [port], width: 5, align: 'left', text: row => `${row.port}` },
  cgroup: { name: 'CGROUP', fields: [cgroup], width: 30, align: 'left', wider: true, text: row => printable(shortCgroup(row.cgroup ?? '')) },
} as const satisfies Record<string, Column>

/** What JSON and CSV have of a row and the table does not. */
export const unseen: readonly RowField[] = [cgroup]

/** How a number of a unit reads in the table, and what its header says of that. */
const units: Readonly<Record<Measure['unit'], { readonly header: string; text(value: number): string }>> = {
  bytes: { header: 'KB', text: bytes => `${Math.floor(bytes / 1024)}` },
  nanoseconds: { header: 'MS', text: nanoseconds => `${Math.floor(nanoseconds / 1e6)}` },
}

/** The columns of what is measured, in the order of the list. */
export function measureColumns(measures: readonly Measure[]): readonly Column[] {
  return measures.map(measure => {
    const { header, text } = units[measure.unit]
    // What is in the list is in `Row`.
    const name = measure.name as 'rx'
    const shown = field(name, offsetIn(measures, measure), 8, uint64, 'descending')
    const word = `${name.toUpperCase()}_${header}`
    return { name: word, fields: [shown], width: Math.max(6, word.length), align: 'right', text: row => text(row[name]) }
  })
}

/** What every row can be sorted by: both directions together, and each. */
export function commonSorts(measures: readonly Measure[]): Readonly<Record<'all' | 'sent' | 'received', Sort>> {
  const by = (wanted: string): Sort =>
    ({ offset: offsetIn(measures, measures.find(({ name }) => name === wanted)!), size: 8, order: 'descending' })
  return { all: { offset: At.total, size: 8, order: 'descending' }, sent: by('tx'), received: by('rx') }
}
