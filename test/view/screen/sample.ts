import type { Size } from '../../../src/host/index.js'
import { connections, type ScreenFrame, type Start, startState, type State, withFrame } from '../../../src/view/screen/state.js'
import type { PickedRow } from '../../../src/view/screen/ledger.js'
import { paint, type Picture, type Surface } from '../../../src/view/screen/paint.js'
import { plain } from '../../../src/view/screen/style.js'
import type { Row } from '../../../src/frame/index.js'

export const start: Start = { grouping: connections, sort: 'all', interval: 1, backend: 'fentry', restriction: '' }

/** A connection with bytes. */
export function row(number: number, rx: number, tx: number, more: Partial<Row> = {}): PickedRow {
  const port = 443
  return {
    key: `connection ${number}`,
    row: {
      pid: 1000 + number, comm: `worker-${number}`, family: 4, laddr: '192.168.100.12', lport: 40000 + number, raddr: `10.0.0.${number}`, rport: port, port,
      cgroup: '/system.slice/web.service', rx, tx, ...more,
    },
  }
}

/** An IPv6 connection whose addresses are as long as can be. */
export const longRow = (number: number, rx: number, tx: number) => row(number, rx, tx, {
  family: 6, laddr: '2001:db8:1234:5678:9abc:def0:1234:5678', raddr: `2001:db8:ffff:eeee:dddd:cccc:bbbb:${(0xaa00 + number).toString(16)}`,
})

/** A frame with these rows. */
export function frame(rows: readonly PickedRow[], more: Partial<ScreenFrame> = {}): ScreenFrame {
  const sum = (of: 'rx' | 'tx') => rows.reduce((total, { row }) => total + row[of], 0)
  return {
    time: new Date(2026, 10, 28, 14, 3, 22), interval: 1, loadavg: '0.12 0.10 0.05 1/123 4567', total: { rx: sum('rx'), tx: sum('tx') },
    lost: { events: 0, rx: 0, tx: 0 }, missed: 0, cpu: 0.003, open: 1204, rows, active: rows.length, count: rows.length, ...more,
  }
}

/** The state after these frames. */
export const after = (...frames: readonly ScreenFrame[]): State => frames.reduce(withFrame, startState(start))

/** A surface without colours on which nothing has a name. */
export function surface(size: Size, more: Partial<Surface> = {}): Surface {
  return {
    size, style: plain, isUnicode: true, names: { service: () => undefined, host: () => undefined, command: () => undefined }, rows: Infinity, hasKeys: true,
    details: pid => [['command', `/usr/bin/worker --id ${pid}`], ['user', 'www-data']], ...more,
  }
}

export const pictureOf = (state: State, size: Size = { rows: 24, columns: 80 }): Picture => paint(state, surface(size))
/** The lines of the table's rows. */
export const rowsOf = ({ lines, table }: Picture): string[] => table.length === 0 ? [] : lines.slice(4, -1).filter(line => line !== '')
