import { missedText, type Row, type Shown } from '../frame/index.js'
import { cells, pad } from '../trace/index.js'
import type { Column } from './column.js'
import type { Format, Screen } from './format.js'
import type { Grouping } from './grouping.js'

/** Cursor home, then erase the screen, in the same write as the frame so that nothing flickers. */
const clearScreen = '\x1b[H\x1b[2J'

/** Lines that go together: the head is only shown with a row. */
interface Table {
  readonly head: readonly string[]
  readonly rows: readonly string[]
}

/** The text for eyes, in the shape of bcc's tools/tcptop.py: columns, order, units and header words are the same. */
export const table: Format = {
  name: 'table',
  description: 'columns, as bcc prints them',
  fullScreen: true,
  start: ({ intervalText }) => `Tracing... Output every ${intervalText} secs. Hit Ctrl-C to end\n`,
  frame: (frame, screen) => {
    const summary = screen.summary ? summaryLines(frame) : []
    const lines = fit(summary, tablesOf(frame.rows, screen.grouping), lastLines(frame), screen)
    return `${screen.clear ? clearScreen : '\n'}${lines.map(line => `${line}\n`).join('')}`
  },
}

function summaryLines({ time, loadavg }: Shown): string[] {
  return loadavg === null ? [] : [`${clockText(time)} loadavg: ${loadavg}`, '']
}

/** Rows in one table, or one for each family with rows. As in bcc, an empty line is before IPv6 even without IPv4. */
function tablesOf(rows: readonly Row[], { byFamily, columns }: Grouping): Table[] {
  if (!byFamily) return [tableOf(columns, rows)].filter(hasRows)
  const { head, rows: ipv6 } = tableOf(columns.map(forIpv6), rows.filter(row => row.family === 6))
  return [tableOf(columns, rows.filter(row => row.family !== 6)), { head: ['', ...head], rows: ipv6 }].filter(hasRows)
}

function hasRows({ rows }: Table): boolean {
  return rows.length > 0
}

function forIpv6(column: Column): Column {
  return { ...column, ...column.ipv6 }
}

function tableOf(columns: readonly Column[], rows: readonly Row[]): Table {
  const texts = rows.map(row => columns.map(column => column.text(row)))
  const widths = columns.map(({ width, wider }, index) =>
    wider ? texts.reduce((most, text) => Math.max(most, cells(text[index]!)), width) : width)
  const line = (texts: readonly string[]) =>
    texts.map((cell, index) => pad(cell, widths[index]!, columns[index]!.align)).join(' ')
  return { head: [line(columns.map(({ name }) => name))], rows: texts.map(line) }
}

/** What is inexact about the rows. */
function lastLines({ lost: { events, rx, tx }, missed }: Shown): string[] {
  return [
    ...events === 0 && rx === 0 && tx === 0 ? [] : [`lost: ${rx} bytes received and ${tx} sent (${events} events); try a larger --max-flows`],
    ...missed === null || missed === 0 ? [] : [`missed: ${missedText(missed)}`],
  ]
}

/**
 * The lines that a terminal has room for, less the one on which the cursor stays. Room goes first to what is inexact, then
 * to a row of each table, then to the summary, then to more rows of all tables in turn. A line that is wider than the
 * terminal takes up several.
 */
function fit(summary: readonly string[], tables: readonly Table[], last: readonly string[], screen: Screen): string[] {
  const { rows = Infinity, columns = Infinity } = screen
  let room = rows - 1
  const take = (lines: readonly string[]) => {
    const height = lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(cells(line) / columns)), 0)
    if (height > room) return []
    room -= height
    return lines
  }
  const counts = tables.map(() => 0)
  const shown = tables.map((): string[] => [])
  /** Takes the next row of each table, the first one with its head. Returns whether any had one that fits. */
  const round = () => {
    let taken = false
    for (const [index, { head, rows }] of tables.entries()) {
      const count = counts[index]!
      if (count === rows.length) continue
      const lines = take(count === 0 ? [...head, rows[count]!] : [rows[count]!])
      if (lines.length === 0) continue
      shown[index]!.push(...lines)
      counts[index] = count + 1
      taken = true
    }
    return taken
  }

  const inexact = last.flatMap(line => take([line]))
  round()
  const first = take(summary)
  while (round());
  return [...first, ...shown.flat(), ...inexact]
}

function clockText(time: Date): string {
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map(part => `${part}`.padStart(2, '0')).join(':')
}
