import { missedText } from '../../frame/index.js'
import type { Size } from '../../host/index.js'
import { cells, cut, pad, printable } from '../../trace/index.js'
import { clockText } from '../clock.js'
import { bindings } from './binding.js'
import { columnsOf, endText, type Look, type Names } from './column.js'
import { fitted, gap, layout, type Placed } from './layout.js'
import type { Entry } from './ledger.js'
import { connections, linesOf, namesFor, type State, type TableLine, type Total } from './state.js'
import { plain, type Style, withoutStyle } from './style.js'
import { human, rateUnit, sparkline } from './unit.js'

/** What the picture depends on, beside the state. */
export interface Surface {
  readonly size: Size
  readonly style: Style
  readonly isUnicode: boolean
  readonly names: Names
  /** Rows of the table at most. */
  readonly rows: number
  /** Whether there is a keyboard to read from. */
  readonly hasKeys: boolean
  /** What is known of the process of a row, for its details: command line, user. */
  details(pid: number): readonly (readonly [name: string, value: string])[]
}

/** What is on the screen. */
export interface Picture {
  /** As many as the terminal has at most, none wider than it is. */
  readonly lines: readonly string[]
  /** All lines of the table, in order, and how many of them fit. */
  readonly table: readonly TableLine[]
  readonly page: number
  /** The column at a place of the screen, where that is its header. */
  columnAt(row: number, column: number): string | undefined
  /** Where the cursor stands while one types; undefined where it is hidden. */
  readonly caret: { readonly row: number; readonly column: number } | undefined
}

/** The smallest terminal that shows rows. */
export const smallest: Size = { rows: 8, columns: 40 }
const headLines = 3

/** What the screen shows of a state. Pure. */
export function paint(state: State, surface: Surface): Picture {
  const { size, isUnicode } = surface
  const look: Look = { unit: state.unit, isUnicode, names: namesFor(state, surface.names) }
  const table = linesOf(state, look)
  const page = Math.max(1, Math.min(surface.rows, size.rows - headLines - 2))
  const nowhere = { table, page, columnAt: () => undefined, caret: undefined }
  if (size.columns < smallest.columns || size.rows < smallest.rows) {
    const text = `too small: ${smallest.columns}×${smallest.rows} is needed; counting goes on`
    return { ...nowhere, lines: wrapped(isUnicode ? text : text.replace('×', 'x'), size.columns).slice(0, size.rows) }
  }
  const head = headOf(state, surface)
  if (state.mode === 'help') return { ...nowhere, lines: fill(head, scrolled(helpLines(surface), state, size), footer(state, surface, []), size) }
  if (state.mode === 'detail') return { ...nowhere, lines: fill(head, scrolled(detailLines(state, surface, look, table), state, size), footer(state, surface, []), size) }
  const shown = table.slice(topOf(state, table, page)).slice(0, page)
  const last = footer(state, surface, rest(state, table, shown, look))
  if (table.length === 0) return { ...nowhere, lines: fill(head, idleLines(state).flatMap(line => line === '' ? [''] : wrapped(line, size.columns)), last, size), caret: caretOf(state, size) }
  const columns = columnsOf(state.isTree ? connections : state.grouping)
  const placed = layout(columns, shown.map(({ entry }) => entry), look, size.columns)
  const header = surface.style(pad(headerText(placed, state), size.columns), 'reverse')
  const rows = shown.map(line => rowText(line, placed, look, state, surface))
  return {
    table, page,
    lines: fill(head, [header, ...rows], last, size),
    columnAt: (row, column) => row === headLines ? columnIn(placed, column) : undefined,
    caret: caretOf(state, size),
  }
}

/** The first line that is shown: as the state says, unless the list is shorter by now. */
function topOf(state: State, table: readonly TableLine[], page: number): number {
  return Math.max(0, Math.min(state.top, table.length - page))
}

/** The part of a text that the state has scrolled to, if it is longer than the screen. */
function scrolled(lines: readonly string[], { scroll }: State, { rows }: Size): readonly string[] {
  return lines.slice(Math.max(0, Math.min(scroll, lines.length - (rows - headLines - 1))))
}

/** Head, body and a last line that stays at the bottom. */
function fill(head: readonly string[], body: readonly string[], last: string, { rows }: Size): string[] {
  const space = rows - head.length - 1
  const shown = body.slice(0, space)
  return [...head, ...shown, ...Array.from({ length: space - shown.length }, () => ''), last]
}

/** A text in lines of at most so many cells. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  for (let rest = text; rest !== '';) {
    const line = cut(rest, width) || rest
    lines.push(line)
    rest = rest.slice(line.length)
  }
  return lines
}

/** Three lines: the tool, the bytes of all, and what can be wrong. */
function headOf(state: State, { size: { columns }, style, isUnicode }: Surface): string[] {
  const { frame } = state
  const dash = isUnicode ? '–' : '-'
  const sign = state.isReversed ? (isUnicode ? '▴' : '^') : isUnicode ? '▾' : 'v'
  const first = fitted([
    [0, style('tcptop', 'bold')], [1, frame === undefined ? dash : clockText(frame.time)], [5, `up ${durationText(state.uptime)}`],
    [6, frame === undefined || frame.loadavg === null ? '' : `load ${frame.loadavg.split(' ').slice(0, 3).join(' ')}`],
    [4, state.backend], [2, `by ${state.isTree ? 'process, connections below' : state.grouping.name}`], [3, `sort ${state.sort}${sign}`],
    [3, state.isPaused ? style('paused', 'reverse') : `every ${state.interval} s`], [3, state.frozen === undefined ? '' : 'order frozen'],
    [4, state.family === undefined ? '' : `IPv${state.family}`],
  ].filter(([, text]) => text !== '') as [number, string][], columns)
  const half = Math.floor((columns - 2) / 2)
  const second = [totalText('RX', state.rx, state, half, isUnicode), totalText('TX', state.tx, state, half, isUnicode)]
  const { lost } = state
  const hasLost = lost.rx + lost.tx > 0
  const third = fitted([
    ...frame === undefined ? [] : [[1, `connections ${frame.open} open, ${frame.active} active`] as const],
    [0, style(`lost ${human(lost.rx + lost.tx, 'B')}`, ...hasLost ? ['red', 'bold'] as const : ['dim'] as const)],
    [0, style(`missed ${state.missed ?? '?'}`, ...(state.missed ?? 0) > 0 ? ['red', 'bold'] as const : ['dim'] as const)],
    [3, frame === undefined ? '' : `own cpu ${(100 * frame.cpu).toFixed(1)} %`],
    [2, state.restriction === '' ? '' : `only ${printable(state.restriction)}`],
    [2, state.filter === '' || state.mode === 'filter' ? '' : `filter ${state.filter}`],
  ].filter(([, text]) => text !== '') as [number, string][], columns)
  return [first.join('  '), second.map(text => pad(text, half)).join('  ').trimEnd(), third.join('  ')].map(line => cutStyled(line, columns))
}

/** A line of the head is cut where not even its most important part fits. */
function cutStyled(line: string, width: number): string {
  const text = withoutStyle(line)
  return cells(text) <= width ? line : cut(text, width)
}

function totalText(name: string, total: Total, { unit }: State, width: number, isUnicode: boolean): string {
  const rate = rateUnit(unit)
  return fitted([
    [0, `${name} ${rate.text(total.rate).padStart(rate.width)}`], [3, sparkline(total.history, 8, isUnicode)], [2, `peak ${rate.text(total.peak)}`],
    [1, `total ${human(total.bytes, 'B')}`],
  ], width).join('  ')
}

function headerText(placed: readonly Placed[], state: State): string {
  const mark = state.isReversed ? '^' : 'v'
  return placed.map(({ column, width }) => {
    const isSorted = column.name === state.sort || (state.sort === 'all' && (column.name === 'rx' || column.name === 'tx'))
    return pad(cut(`${column.header}${isSorted ? mark : ''}`, width), width, column.align)
  }).join(' '.repeat(gap))
}

function columnIn(placed: readonly Placed[], place: number): string | undefined {
  let start = 0
  for (const { column, width } of placed) {
    if (place < start + width + gap) return column.name === 'graph' ? undefined : column.name
    start += width + gap
  }
  return undefined
}

function rowText({ entry, isChild }: TableLine, placed: readonly Placed[], look: Look, state: State, { style, size }: Surface): string {
  const text = placed.map(({ column, width }, index) => {
    // The process stands above.
    const cell = isChild && index === 0 ? (look.isUnicode ? '  └' : '  `') : column.text(entry, look, width)
    return pad(cut(cell, width), width, column.align)
  }).join(' '.repeat(gap))
  const line = pad(text, size.columns)
  if (entry.key === state.cursor) return style(line, 'reverse')
  return entry.quiet > 0 ? style(text.trimEnd(), 'dim') : text.trimEnd()
}

/** What is said of rows that are not shown: those of the table, and those that were too many to be picked from the frame. */
function rest({ frame, filter, family }: State, table: readonly TableLine[], shown: readonly TableLine[], { unit, isUnicode }: Look): string[] {
  const isShown = new Set(shown)
  const hidden = table.filter(line => !isShown.has(line) && !line.isChild).map(({ entry }) => entry)
  const unpicked = frame === undefined || filter !== '' || family !== undefined ? 0 : Math.max(0, frame.count - frame.rows.length)
  const count = hidden.length + unpicked
  if (count === 0) return []
  const picked = unpicked === 0 ? 0 : frame!.rows.reduce((sum, { row }) => sum + row.rx + row.tx, 0)
  const unpickedRate = unpicked === 0 ? 0 : Math.max(0, frame!.total.rx + frame!.total.tx - picked) / frame!.interval
  const bytes = hidden.reduce((sum, entry) => sum + entry.rxRate + entry.txRate, unpickedRate)
  return [`${isUnicode ? '…' : '...'} ${count} more ${count === 1 ? 'row' : 'rows'}, ${rateUnit(unit).text(bytes)}`]
}

/** The last line: the filter while it is typed, a message, or what is not shown. */
function footer(state: State, { size: { columns }, style, hasKeys }: Surface, more: readonly string[]): string {
  if (state.mode === 'filter') return cut(`/${state.filter}`, columns)
  if (state.message !== undefined) return style(cut(printable(state.message), columns), 'bold')
  const hint = !hasKeys ? 'Ctrl-C quits' : state.mode === 'table' ? '? help  q quit' : 'Esc back'
  const [text = ''] = more
  const space = columns - cells(text) - cells(hint)
  return space >= 2 ? `${text}${' '.repeat(space)}${style(hint, 'dim')}`.trimEnd() : cut(text, columns)
}

function caretOf(state: State, { rows, columns }: Size): Picture['caret'] {
  return state.mode === 'filter' ? { row: rows - 1, column: Math.min(columns - 1, 1 + cells(state.filter)) } : undefined
}

function idleLines(state: State): string[] {
  const { frame } = state
  if (frame === undefined) return ['', `The first interval ends in ${state.interval} s.`]
  if (state.filter !== '') return ['', `No row has "${state.filter}" in it. Esc clears the filter.`]
  return [
    '', 'Nothing moved in the last interval.', `${frame.open} ${frame.open === 1 ? 'connection is' : 'connections are'} open.`,
    ...state.restriction === '' ? [] : [`Only ${printable(state.restriction)} is counted.`],
  ]
}

/** The keys, in as many columns as fit. */
function helpLines({ size: { columns, rows }, style }: Surface): string[] {
  const texts = bindings.flatMap(({ help }) => help === undefined ? [] : [help])
  const keysWidth = Math.max(...texts.map(([keys]) => cells(keys)))
  const space = rows - headLines - 2
  const count = Math.max(1, Math.min(Math.floor(columns / 39), Math.ceil(texts.length / Math.max(1, space))))
  const height = Math.ceil(texts.length / count)
  const width = Math.floor(columns / count)
  const cell = (help: readonly [string, string] | undefined) =>
    help === undefined ? '' : pad(cut(`${pad(help[0], keysWidth)}  ${help[1]}`, width - 2), width)
  return [style('Keys', 'bold'), ...Array.from({ length: height }, (_, row) =>
    Array.from({ length: count }, (_, column) => cell(texts[column * height + row])).join('').trimEnd())]
}

/** All that is known of the row that is chosen. */
function detailLines(state: State, surface: Surface, look: Look, table: readonly TableLine[]): string[] {
  const entry = table.find(({ entry }) => entry.key === state.cursor)?.entry
  const { size: { columns }, style, isUnicode } = surface
  if (entry === undefined) return ['', 'This row is closed.']
  const { row } = entry
  const fields: (readonly [string, string])[] = [
    ...row.pid === undefined ? [] : [['process', `${row.pid} ${printable(row.comm ?? '')}`] as const, ...surface.details(row.pid)],
    ...row.pid === undefined && row.comm !== undefined ? [['process', printable(row.comm)] as const] : [],
    ...row.laddr === undefined ? [] : [['local', endText(row.laddr, row.lport, look, Infinity, row.lport === row.port)] as const],
    ...row.raddr === undefined ? [] : [['remote', endText(row.raddr, row.rport, look, Infinity, row.rport === row.port)] as const],
    ...row.port === undefined ? [] : [['service', `${look.names.service(row.port) ?? row.port}`] as const],
    ...row.cgroup === undefined ? [] : [['cgroup', printable(row.cgroup)] as const],
    ['received', amountText(entry, 'rx', state)], ['sent', amountText(entry, 'tx', state)],
    ...entry.quiet > 0 ? [['quiet', `for ${entry.quiet} ${entry.quiet === 1 ? 'interval' : 'intervals'}`] as const] : [],
  ]
  const nameWidth = Math.max(...fields.map(([name]) => name.length))
  const graphWidth = Math.min(entry.history.length, columns - nameWidth - 2)
  return [
    '', ...fields.map(([name, value]) => `${style(pad(name, nameWidth), 'dim')}  ${cut(value, columns - nameWidth - 2)}`),
    `${style(pad('history', nameWidth), 'dim')}  ${sparkline(entry.history, graphWidth, isUnicode)}`,
  ]
}

function amountText(entry: Entry, of: 'rx' | 'tx', { unit }: State): string {
  return `${rateUnit(unit).text(entry[`${of}Rate`])}, ${entry[of]} bytes in this interval, ${human(entry[`${of}Total`], 'B')} in all`
}

/** `59 s`, `1:23` hours and minutes, `3 d`. */
function durationText(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  return hours < 48 ? `${hours}:${`${minutes}`.padStart(2, '0')} h` : `${Math.floor(hours / 24)} d`
}

/** What the screen leaves behind: a frame, the last one worth looking at, and the sums of the session, as plain text. */
export function farewell(shown: State, state: State, surface: Surface): string[] {
  const table = { ...shown, mode: 'table', cursor: undefined, top: 0, message: undefined } as const
  const { lines } = paint(table, { ...surface, style: plain, size: { ...surface.size, rows: Math.max(smallest.rows, surface.size.rows - 3) } })
  const last = lines.findLastIndex(line => line.trim() !== '' && !line.includes('? help'))
  return [
    ...lines.slice(0, last + 1),
    `${durationText(state.uptime)}: ${state.rx.bytes} bytes received, ${state.tx.bytes} sent, ${state.lost.rx + state.lost.tx} lost`
      + (state.missed === null || state.missed === 0 ? '' : `; ${missedText(state.missed)}`),
  ]
}
