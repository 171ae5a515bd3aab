import { measures, type Row } from '../../frame/index.js'
import { printable } from '../../trace/index.js'
import type { Column } from '../column.js'
import type { Grouping } from '../grouping.js'
import { average, type Entry, historyLength } from './ledger.js'
import { sparkline, type Unit } from './unit.js'

/** What the texts of a row depend on, beside the row. */
export interface Names {
  /** The name of a service's port; undefined to show the number. */
  service(port: number): string | undefined
  /** The name of a host; undefined to show the address. */
  host(address: string): string | undefined
  /** The command line of a process; undefined to show its name. */
  command(pid: number): string | undefined
}

/** How rows are shown. */
export interface Look {
  readonly unit: Unit
  readonly names: Names
  readonly isUnicode: boolean
}

/** How a column is ordered: larger values first for numbers that measure, smaller ones for all else. */
export interface Comparison {
  compare(one: Entry, other: Entry): number
}

/** A column of the screen. */
export interface ScreenColumn extends Comparison {
  /** By which the rows are sorted when this column is chosen. */
  readonly name: string
  readonly header: string
  readonly align: 'left' | 'right'
  /** The first to go where there is too little space has the highest; 0 never goes. */
  readonly rank: number
  /** Whether it is shown only where all others have what they want. */
  readonly isExtra?: true
  /** Cells that it needs at least, and what is worth having. */
  readonly least: number
  readonly most: number
  /** The text of a row in at most `width` cells, where it can be shortened in a way of its own. */
  text(entry: Entry, look: Look, width: number): string
}

/** Rates of both directions. */
export const sum: Comparison = { compare: (one, other) => amount(other, 'rx') + amount(other, 'tx') - amount(one, 'rx') - amount(one, 'tx') }

const amount = (entry: Entry, of: 'rx' | 'tx') => average(entry, of)

/** The number of a direction that a unit shows. */
function shownOf(entry: Entry, of: 'rx' | 'tx', unit: Unit): number {
  switch (unit.of) {
    case 'rate': return entry[`${of}Rate`]
    case 'interval': return entry[of]
    case 'total': return entry[`${of}Total`]
  }
}

function counter(of: 'rx' | 'tx', header: string): ScreenColumn {
  return {
    name: of, header, align: 'right', rank: 0, least: 8, most: 10,
    compare: (one, other) => amount(other, of) - amount(one, of),
    text: (entry, { unit }) => unit.text(shownOf(entry, of, unit)),
  }
}

const graph: ScreenColumn = {
  ...sum, name: 'graph', header: `LAST ${historyLength}`, align: 'right', rank: 9, isExtra: true, least: historyLength, most: historyLength,
  text: ({ history }, { isUnicode }) => sparkline(history, historyLength, isUnicode),
}

/** Texts as people count, smaller numbers first: port 80 stands before 443. */
const collator = new Intl.Collator('en', { numeric: true })
const byText = (text: (row: Row) => string) => (one: Entry, other: Entry) => collator.compare(text(one.row), text(other.row))

/** How the screen shows a column that the table has too, where it does so differently. */
const changes: Readonly<Record<string, Partial<ScreenColumn>>> = {
  PID: { rank: 4, least: 5, most: 8 },
  COMM: {
    rank: 2, least: 6, most: 16,
    text: ({ row }, { names }) => printable((row.pid === undefined ? undefined : names.command(row.pid)) ?? row.comm ?? '-'),
  },
  LADDR: { rank: 3, least: 12, most: 46, text: ({ row }, look, width) => endText(row.laddr, row.lport, look, width, row.lport === row.port) },
  RADDR: { rank: 0, least: 12, most: 46, text: ({ row }, look, width) => endText(row.raddr, row.rport, look, width, row.rport === row.port) },
  PORT: { rank: 0, least: 5, most: 12, text: ({ row }, { names }) => (row.port === undefined ? undefined : names.service(row.port)) ?? `${row.port ?? '-'}` },
  CGROUP: { rank: 0, least: 12, most: 60 },
}

/** A column of the table on the screen. */
function onScreen(column: Column): ScreenColumn {
  return {
    name: column.name.toLowerCase(), header: column.name, align: column.align, rank: 5, least: Math.min(column.width, 12), most: column.width,
    text: ({ row }) => column.text(row),
    compare: byText(row => column.text(row)),
    ...changes[column.name],
  }
}

/** The columns of a grouping: its own, both counters and the graph. */
export function columnsOf({ columns }: Grouping): ScreenColumn[] {
  const own = columns.filter(({ fields }) => !measures.some(({ name }) => fields[0]?.name === name))
  return [...own.map(onScreen), counter('rx', 'RX'), counter('tx', 'TX'), graph]
}

/**
 * An address and, where there is one, its port, which is never shortened. An IPv6 address is in brackets then. What is too wide loses characters in the
 * middle: its ends show the network and the host.
 */
export function endText(address: string | undefined, port: number | undefined, { names, isUnicode }: Look, width: number, isService = false): string {
  const host = address === undefined ? '-' : names.host(address) ?? (port !== undefined && address.includes(':') ? `[${address}]` : address)
  const suffix = port === undefined ? '' : `:${(isService ? names.service(port) : undefined) ?? port}`
  return shortened(printable(host), Math.max(0, width - suffix.length), isUnicode) + suffix
}

/** At most so many characters of a text, without those in the middle. */
export function shortened(text: string, width: number, isUnicode: boolean): string {
  if (text.length <= width) return text
  const gap = isUnicode ? '…' : '..'
  const kept = Math.max(0, width - gap.length)
  const start = Math.ceil(kept / 2)
  return kept === 0 ? gap.slice(0, width) : text.slice(0, start) + gap + text.slice(text.length - (kept - start))
}
