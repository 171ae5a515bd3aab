import type { Frame, Row } from '../../frame/index.js'
import { printable } from '../../trace/index.js'
import { type Grouping, groupings } from '../grouping.js'
import { columnsOf, type Look, type Names, type ScreenColumn, sum } from './column.js'
import { advance, type Entry, historyLength, isAwake, type Ledger, type PickedRow, withoutTotals } from './ledger.js'
import { type Unit, units } from './unit.js'

/** What the screen takes of a frame: the rows are those of the grouping that is shown, or of a process and of a connection in the tree. */
export interface ScreenFrame extends Pick<Frame, 'time' | 'interval' | 'loadavg' | 'total' | 'lost' | 'missed'> {
  readonly cpu: number
  /** Connections that are open, as far as they are known. */
  readonly open: number
  readonly rows: readonly PickedRow[]
  /** The connections of the processes in `rows`, for the tree. */
  readonly children?: readonly PickedRow[]
  /** Connections that moved bytes. */
  readonly active: number
  /** Rows that moved bytes, picked or not. */
  readonly count: number
}

/** Rates of one direction over time. */
export interface Total {
  readonly rate: number
  readonly peak: number
  readonly bytes: number
  readonly history: readonly number[]
}

/** All that the screen shows, and how. Never changed: every input and every frame makes a new one. */
export interface State {
  readonly grouping: Grouping
  /** The name of a column, or `all`. */
  readonly sort: string
  readonly isReversed: boolean
  readonly unit: Unit
  readonly family: 4 | 6 | undefined
  readonly filter: string
  /** What the keyboard goes to. */
  readonly mode: 'table' | 'filter' | 'help' | 'detail'
  readonly isPaused: boolean
  /** The order of rows when it was frozen. */
  readonly frozen: readonly string[] | undefined
  readonly isTree: boolean
  /** Processes of the tree whose connections are hidden. */
  readonly folded: ReadonlySet<string>
  readonly names: 'numbers' | 'services' | 'hosts'
  readonly showsCommands: boolean
  /** The key of the row that is chosen. */
  readonly cursor: string | undefined
  /** Lines above the first that is shown. */
  readonly top: number
  /** Lines of the help or the details above the first that is shown. */
  readonly scroll: number
  /** Seconds between frames. */
  readonly interval: number
  /** What was done last, or why not: until the next key. */
  readonly message: string | undefined
  readonly frame: ScreenFrame | undefined
  /** Seconds since the tool started. */
  readonly uptime: number
  readonly rx: Total
  readonly tx: Total
  readonly lost: { readonly rx: number; readonly tx: number }
  readonly missed: number | null
  readonly ledger: Ledger
  readonly children: Ledger
  readonly backend: string
  /** What the command line lets through, in words; empty where it is everything. */
  readonly restriction: string
}

/** What the options say. */
export interface Start {
  readonly grouping: Grouping
  readonly sort: string
  readonly interval: number
  readonly backend: string
  readonly restriction: string
}

const nothing: Total = { rate: 0, peak: 0, bytes: 0, history: [] }

export function startState({ grouping, sort, interval, backend, restriction }: Start): State {
  return {
    grouping, sort, interval, backend, restriction,
    isReversed: false, unit: units[0], family: undefined, filter: '', mode: 'table', isPaused: false, frozen: undefined, isTree: false, folded: new Set(),
    names: 'numbers', showsCommands: false, cursor: undefined, top: 0, scroll: 0, message: undefined, frame: undefined, uptime: 0, rx: nothing, tx: nothing,
    lost: { rx: 0, tx: 0 }, missed: 0, ledger: new Map(), children: new Map(),
  }
}

/** The state after a frame. */
export function withFrame(state: State, frame: ScreenFrame): State {
  const { total, interval, lost, missed } = frame
  const next = (before: Total, bytes: number): Total => {
    const rate = bytes / interval
    return { rate, peak: Math.max(before.peak, rate), bytes: before.bytes + bytes, history: [...before.history.slice(1 - historyLength), rate] }
  }
  return {
    ...state,
    frame,
    uptime: state.uptime + interval,
    rx: next(state.rx, total.rx),
    tx: next(state.tx, total.tx),
    lost: { rx: state.lost.rx + lost.rx, tx: state.lost.tx + lost.tx },
    missed: missed === null || state.missed === null ? null : state.missed + missed,
    ledger: advance(state.ledger, frame.rows, interval),
    children: advance(state.children, frame.children ?? [], interval),
  }
}

/** The same frame by another grouping: histories begin anew. */
export function regrouped(state: State, rows: Pick<ScreenFrame, 'rows' | 'children' | 'count'>): State {
  if (state.frame === undefined) return state
  const frame = { ...state.frame, ...rows }
  const seconds = frame.interval
  return {
    ...state, frame, ledger: advance(new Map(), frame.rows, seconds), children: advance(new Map(), frame.children ?? [], seconds), frozen: undefined,
    cursor: undefined, top: 0,
  }
}

export function withoutSums(state: State): State {
  const reset = (total: Total): Total => ({ ...total, bytes: 0, peak: total.rate })
  return {
    ...state, rx: reset(state.rx), tx: reset(state.tx), lost: { rx: 0, tx: 0 }, missed: state.missed === null ? null : 0,
    ledger: withoutTotals(state.ledger), children: withoutTotals(state.children),
  }
}

/** A row of the table: a child is a connection below its process in the tree. */
export interface TableLine {
  readonly entry: Entry
  readonly isChild: boolean
}

/** The grouping of the tree's children. */
export const connections = groupings[0]!
/** The grouping of the tree's processes. */
export const processes = groupings.find(({ name }) => name === 'process')!

/** The columns that can be sorted by, in the order in which they stand. */
export function sortable(state: State): ScreenColumn[] {
  return columnsOf(state.isTree ? connections : state.grouping).filter(({ name }) => name !== 'graph')
}

/** What goes through the filter, in order: all lines of the table, shown or not. */
export function linesOf(state: State, look: Look): TableLine[] {
  const columns = columnsOf(state.isTree ? connections : state.grouping)
  const order = columns.find(({ name }) => name === state.sort) ?? sum
  const words = state.filter.toLowerCase().split(/\s+/).filter(word => word !== '')
  const isWanted = (entry: Entry, texts: () => string) => isAwake(entry) && isShown(entry, texts)
  const isShown = ({ row }: Entry, texts: () => string) =>
    (state.family === undefined || row.family === undefined || row.family === state.family) && (words.length === 0 || hasAll(texts(), words))
  const textOf = (entry: Entry) => columns.map(column => column.text(entry, look, Infinity)).join(' ')
  const direction = state.isReversed ? -1 : 1
  const sorted = (entries: Iterable<Entry>) => {
    const list = [...entries].sort((one, other) => direction * order.compare(one, other) || sum.compare(one, other) || (one.key < other.key ? -1 : 1))
    return state.frozen === undefined ? list : inOrder(list, state.frozen)
  }
  if (!state.isTree) return sorted([...state.ledger.values()].filter(entry => isWanted(entry, () => textOf(entry)))).map(entry => ({ entry, isChild: false }))
  const byParent = childrenOf(state.children)
  return sorted(state.ledger.values()).flatMap(parent => {
    const family = sorted((byParent.get(processKey(parent.row)) ?? []).filter(child => isWanted(child, () => textOf(child))))
    const isParentWanted = isWanted(parent, () => textOf(parent))
    if (family.length === 0 && (!isParentWanted || state.family !== undefined)) return []
    return [{ entry: parent, isChild: false }, ...state.folded.has(parent.key) ? [] : family.map(entry => ({ entry, isChild: true }))]
  })
}

/** Connections by the process that they belong to. */
function childrenOf(children: Ledger): ReadonlyMap<string, readonly Entry[]> {
  const byParent = new Map<string, Entry[]>()
  for (const child of children.values()) {
    const key = processKey(child.row)
    const siblings = byParent.get(key)
    if (siblings === undefined) byParent.set(key, [child])
    else siblings.push(child)
  }
  return byParent
}

const processKey = (row: Row) => `${row.pid ?? row.hostPid ?? '-'} ${row.comm ?? ''}`

const hasAll = (text: string, words: readonly string[]) => words.every(word => text.toLowerCase().includes(word))

/** A list in an order from before, with what is new at the end. */
function inOrder(list: readonly Entry[], order: readonly string[]): Entry[] {
  const places = new Map(order.map((key, place) => [key, place]))
  const placeOf = (entry: Entry) => places.get(entry.key) ?? Infinity
  const placed = list.filter(entry => places.has(entry.key)).sort((one, other) => placeOf(one) - placeOf(other))
  return [...placed, ...list.filter(entry => !places.has(entry.key))]
}

/** Characters of a filter that one can see. */
export function filterText(text: string): string {
  return printable(text.replace(/[\r\n\t]+/g, ' '))
}

/** The names to show, by what the state wants of them. */
export function namesFor(state: State, names: Names): Names {
  return {
    service: port => state.names === 'numbers' ? undefined : names.service(port),
    host: address => state.names === 'hosts' ? names.host(address) : undefined,
    command: pid => state.showsCommands ? names.command(pid) : undefined,
  }
}
