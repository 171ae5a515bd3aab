import type { Row } from '../frame/index.js'
import { jsonText } from '../trace/index.js'
import type { RowField } from './column.js'
import type { Format } from './format.js'
import type { Grouping } from './grouping.js'

/** Changes when a field is renamed, removed or means something else; new fields do not change it. */
const version = 1

/**
 * One object a line and frame. Bytes are integers, `interval` is in seconds, `time` is UTC, `loadavg` is null when it
 * cannot be read (`-S` is of the table alone). `total` is of all rows, also of those that `--rows` leaves out, and does
 * not contain what is lost. `missed` is null where the kernel does not count it. Names of processes parse as they are, with U+FFFD for what is not
 * UTF-8.
 */
export const json: Format = {
  name: 'json',
  description: 'one object a line',
  isForEyes: false,
  start: () => '',
  frame: ({ time, interval, backend, loadavg, rows, total, lost, missed, cost }, { grouping }) => `${jsonText({
    v: version,
    time: time.toISOString(),
    interval: microseconds(interval),
    backend,
    loadavg: averages(loadavg),
    rows: rows.map(row => pick(row, grouping.fields)),
    total: inOrder(total, grouping),
    lost: { events: lost.events, ...inOrder(lost, grouping) },
    missed,
    cost: { cpu: microseconds(cost.cpu), drain: microseconds(cost.drain), runs: cost.runs, run: cost.run && microseconds(cost.run) },
  })}\n`,
}

/** Counters in the order of the fields, of which some may be gauges. */
function inOrder(counts: Readonly<Record<string, number>>, { fields }: Grouping): Record<string, number> {
  return Object.fromEntries(fields.flatMap(({ name }) => counts[name] === undefined ? [] : [[name, counts[name]]]))
}

/** Seconds without the noise below a microsecond. */
export function microseconds(seconds: number): number {
  return Math.round(seconds * 1e6) / 1e6
}

function averages(loadavg: string | null): number[] | null {
  return loadavg === null ? null : loadavg.split(' ', 3).map(Number)
}

function pick(row: Row, fields: readonly RowField[]): Record<string, unknown> {
  const { hostPid } = row
  return { ...Object.fromEntries(fields.map(({ name }) => [name, row[name]])), ...(hostPid === undefined ? {} : { hostPid }) }
}
