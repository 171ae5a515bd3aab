import { missedText, type Row, type Shown } from '../frame/index.js'
import { cells, pad } from '../trace/index.js'
import { clockText } from './clock.js'
import type { Column } from './column.js'
import type { Format } from './format.js'
import type { Grouping } from './grouping.js'

/** The text for eyes, in the shape of bcc's tools/tcptop.py: columns, order, units and header words are the same. */
export const table: Format = {
  name: 'table',
  description: 'columns, as bcc prints them',
  isForEyes: true,
  start: ({ intervalText }) => `Tracing... Output every ${intervalText} secs. Hit Ctrl-C to end\n`,
  frame: (frame, { summary, grouping }) => {
    const lines = [...summary ? summaryLines(frame) : [], ...tablesOf(frame.rows, grouping), ...lastLines(frame)]
    return `\n${lines.map(line => `${line}\n`).join('')}`
  },
}

function summaryLines({ time, loadavg }: Shown): string[] {
  return loadavg === null ? [] : [`${clockText(time)} loadavg: ${loadavg}`, '']
}

/** Rows in one table, or one for each family with rows. As in bcc, an empty line is before IPv6 even without IPv4. */
function tablesOf(rows: readonly Row[], { byFamily, columns }: Grouping): string[] {
  if (!byFamily) return tableOf(columns, rows)
  const ipv6 = tableOf(columns.map(forIpv6), rows.filter(row => row.family === 6))
  return [...tableOf(columns, rows.filter(row => row.family !== 6)), ...ipv6.length === 0 ? [] : ['', ...ipv6]]
}

function forIpv6(column: Column): Column {
  return { ...column, ...column.ipv6 }
}

/** The head and the rows; nothing without rows. */
function tableOf(columns: readonly Column[], rows: readonly Row[]): string[] {
  if (rows.length === 0) return []
  const texts = [columns.map(({ name }) => name), ...rows.map(row => columns.map(column => column.text(row)))]
  const widths = columns.map(({ width, wider }, index) =>
    wider ? texts.slice(1).reduce((most, text) => Math.max(most, cells(text[index]!)), width) : width)
  return texts.map(line => line.map((cell, index) => pad(cell, widths[index]!, columns[index]!.align)).join(' '))
}

/** What is inexact about the rows. */
function lastLines({ lost: { events, rx, tx }, missed }: Shown): string[] {
  return [
    ...events === 0 && rx === 0 && tx === 0 ? [] : [`lost: ${rx} bytes received and ${tx} sent (${events} events); try a larger --max-flows`],
    ...missed === null || missed === 0 ? [] : [`missed: ${missedText(missed)}`],
  ]
}
