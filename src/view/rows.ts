import { jsonText } from '../trace/index.js'
import type { Format } from './format.js'
import { microseconds } from './json.js'

/**
 * One object a line and row, flat, for what takes tables: ClickHouse, DuckDB, Vector, Loki. `kind` is `row`; `rest` for the bytes of rows that are left
 * out; `lost` for those that belong to no row, with `events`. So the sums of `rx` and `tx` over all lines are all bytes. `time` is UTC, `interval` is in seconds; `host` and
 * `boot` say where it was counted, `netns` and `start` distinguish rows and are not shown elsewhere (see `withHidden`). What a row does not have is absent.
 */
export const rows: Format = {
  name: 'rows',
  description: 'one object a line and row, for databases',
  isForEyes: false,
  hidden: true,
  start: () => '',
  frame: ({ origin, time, interval, rows, total, lost }, { grouping: { fields, compared } }) => {
    const where = { time: time.toISOString(), interval: microseconds(interval), host: origin?.host, boot: origin?.boot ?? undefined }
    const keys = new Set([...compared.includes('pid') ? ['hostPid'] : [], ...fields.map(({ name }) => name), ...compared])
    const left = (name: 'rx' | 'tx') => rows.reduce((rest, row) => rest - row[name], total[name])
    const rest = { rx: left('rx'), tx: left('tx') }
    return [
      ...rows.map(row => {
        const fields = row as unknown as Readonly<Record<string, unknown>>
        return { ...where, kind: 'row', ...Object.fromEntries(Array.from(keys, name => [name, fields[name]])) }
      }),
      ...rest.rx === 0 && rest.tx === 0 ? [] : [{ ...where, kind: 'rest', ...rest }],
      ...lost.events === 0 && lost.rx === 0 && lost.tx === 0 ? [] : [{ ...where, kind: 'lost', events: lost.events, rx: lost.rx, tx: lost.tx }],
    ].map(row => `${jsonText(row)}\n`).join('')
  },
}
