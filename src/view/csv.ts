import type { Shown } from '../frame/index.js'
import { printable } from '../trace/index.js'
import type { RowField } from './column.js'
import type { Format } from './format.js'
import { microseconds } from './json.js'

/**
 * RFC 4180 with one header line, and a line feed at the end of each. The columns are `time` and `interval` of the
 * frame, then JSON's fields. A name's unprintable characters are `?`, so that a record is a line; a name that a
 * spreadsheet would run as a formula follows a `'`. What is lost in a frame is a record of its own, whose only key is
 * the word `lost` in the column of the name (of the first key where there is none): a process that is called so has a
 * PID, except by comm, where that is the only key.
 */
export const csv: Format = {
  name: 'csv',
  description: 'comma-separated, with one header line',
  isForEyes: false,
  start: ({ grouping }) => record(['time', 'interval', ...grouping.fields.map(({ name }) => name)]),
  frame: ({ time, interval, rows, lost }, { grouping: { fields } }) => {
    const when = [time.toISOString(), microseconds(interval)]
    const records = rows.map(row => [...when, ...fields.map(({ name }) => row[name])])
    if (Object.values(lost).some(count => count !== 0)) records.push([...when, ...lostRecord(fields, lost)])
    return records.map(record).join('')
  },
}

/** Counters have what is lost, and gauges nothing. */
function lostRecord(fields: readonly RowField[], lost: Shown['lost']) {
  const counts: Readonly<Record<string, number>> = lost
  const names = fields.map(({ name }) => name)
  const word = names.includes('comm') ? 'comm' : names[0]
  return names.map(name => name === word ? 'lost' : counts[name] ?? '')
}

function record(values: readonly (string | number | undefined)[]): string {
  return `${values.map(value => quote(typeof value === 'string' ? inert(value) : `${value ?? ''}`)).join(',')}\n`
}

/** How a formula begins in a spreadsheet (OWASP, CSV Injection), also in the full width of East Asia. Our own `-` for what is not known is none. */
const formula = /^[=+@\t\r\n\uff1d\uff0b\uff0d\uff20]|^-./s

function inert(text: string): string {
  return `${formula.test(text) ? "'" : ''}${printable(text)}`
}

function quote(text: string): string {
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
