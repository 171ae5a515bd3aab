import type { Shown } from '../../src/frame/frame.js'
import type { Row } from '../../src/frame/row.js'
import { type Grouping, groupings, together } from '../../src/view/grouping.js'
import type { Screen } from '../../src/view/index.js'
import type { Random } from '../kit/random.js'

/** The same hour everywhere, for formats that show the local time. */
export const localTime = new Date(2026, 0, 2, 20, 27, 12, 3)
/** The same moment everywhere, for formats that show UTC. */
export const utcTime = new Date('2026-01-02T20:27:12.003Z')

const one = { family: 4, laddr: '10.0.0.1', lport: 22, raddr: '10.0.0.2', rport: 50000 } as const
const six = { family: 6, laddr: '2001:db8::1', lport: 443, raddr: '2001:db8::2', rport: 50001 } as const
const long = { family: 6, laddr: 'fe80::1111:2222:3333:4444', lport: 8080, rport: 65535,
  raddr: '2001:db8:1111:2222:3333:4444:5555:6666' } as const

/** Rows of each grouping: parts of a KB, over 4 GiB, names to cut and to clean, addresses that widen, the kernel. */
export const samples: Readonly<Record<string, readonly Row[]>> = {
  connection: [
    { pid: 1234, comm: 'sshd', ...one, cgroup: '/system.slice/ssh.service', rx: 1024, tx: 2097152 },
    { pid: 4194304, comm: 'postgres: writer', ...one, lport: 5432, cgroup: `/docker/${'0a'.repeat(32)}`, rx: 2 ** 32 + 1023, tx: 1023 },
    { pid: 7, comm: 'nginx', ...six, cgroup: '4711', rx: 12288, tx: 3072 },
    { pid: 99, comm: '\x1b[31m,"red"', ...long, cgroup: '/a,b', rx: 1, tx: 2047 },
    { pid: 0, comm: 'kernel', ...one, rport: 1, cgroup: '-', rx: 0, tx: 60 },
  ],
  process: [
    { pid: 4194304, comm: 'postgres: writer', rx: 2 ** 32 + 1023, tx: 1023 },
    { pid: 1234, comm: 'sshd', rx: 1024, tx: 2097152 },
    { pid: 0, comm: 'kernel', rx: 0, tx: 60 },
  ],
  comm: [
    { comm: 'postgres: writer', rx: 2 ** 32 + 1023, tx: 1023 },
    { comm: '\x1b[31m,"red"', rx: 1024, tx: 2097152 },
    { comm: 'kernel', rx: 0, tx: 60 },
  ],
  host: [
    { raddr: '10.0.0.2', family: 4, rx: 1024, tx: 2097152 },
    { raddr: '255.255.255.255', family: 4, rx: 0, tx: 1 },
    { raddr: '2001:db8:1111:2222:3333:4444:5555:6666', family: 6, rx: 1, tx: 2047 },
    { raddr: '::1', family: 6, rx: 1, tx: 1 },
  ],
  port: [
    { port: 443, rx: 12288, tx: 3072 },
    { port: 65535, rx: 0, tx: 2047 },
  ],
  cgroup: [
    { cgroup: '/system.slice/ssh.service', rx: 1024, tx: 2097152 },
    { cgroup: `/kubepods/burstable/pod1/${'0a'.repeat(32)}`, rx: 0, tx: 2047 },
    { cgroup: '/\x1b[31m, of a name that is chosen', rx: 1, tx: 1 },
    { cgroup: '-', rx: 0, tx: 60 },
  ],
  'comm,cgroup': [
    { comm: 'postgres: writer', cgroup: `/docker/${'0a'.repeat(32)}`, rx: 2 ** 32 + 1023, tx: 1023 },
    { comm: 'sshd', cgroup: '/system.slice/ssh.service', rx: 1024, tx: 2097152 },
    { comm: 'kernel', cgroup: '-', rx: 0, tx: 60 },
  ],
  'process,host': [
    { pid: 1234, comm: 'sshd', raddr: '10.0.0.2', family: 4, rx: 1024, tx: 2097152 },
    { pid: 99, comm: '\x1b[31m,"red"', raddr: '2001:db8:1111:2222:3333:4444:5555:6666', family: 6, rx: 1, tx: 2047 },
    { pid: 0, comm: 'kernel', raddr: '::1', family: 6, rx: 0, tx: 60 },
  ],
}

export const noLoss: Shown['lost'] = { events: 0, rx: 0, tx: 0 }

export function frameOf(rows: readonly Row[], change: Partial<Shown> = {}): Shown {
  const sum = (field: 'rx' | 'tx') => rows.reduce((sum, row) => sum + row[field], 0)
  return {
    time: utcTime, interval: 1.0003, backend: 'tracepoint', loadavg: '0.08 0.02 0.17 2/367 17342', rows,
    total: { rx: sum('rx'), tx: sum('tx') }, sinceStart: { rx: 7, tx: 8 }, lost: noLoss, missed: 0, flows: 9, cost: { cpu: 0.004, drain: 0.0005, runs: 1000, run: 0.0003 }, ...change,
  }
}

/** Lists of which there are samples too. */
export const lists = ['comm,cgroup', 'process,host'] as const

export function groupingOf(names: string): Grouping {
  return together(names.split(',').map(name => groupings.find(grouping => grouping.name === name)!))
}

export function screenOf(by: string, change: Partial<Screen> = {}): Screen {
  return { grouping: groupingOf(by), clear: false, summary: true, ...change }
}

const characters = [...'az09 ,";:/\\\n\r\t\x1b\x7f\ufffdé🐧']

/** A row as any grouping might have it. */
export function randomRow(random: Random, { fields }: Grouping): Row {
  const family = random.pick([4, 6] as const)
  const address = () => family === 4
    ? Array.from({ length: 4 }, () => random.below(256)).join('.')
    : Array.from({ length: 1 + random.below(8) }, () => random.below(65536).toString(16)).join(':')
  const bytes = () => random.below(2 ** random.below(53))
  const all: Required<Omit<Row, 'hostPid'>> = {
    pid: random.below(4194305), family, laddr: address(), lport: random.below(65536), raddr: address(),
    rport: random.below(65536), port: random.below(65536), cgroup: `/a.slice/${random.below(99)}`, rx: bytes(), tx: bytes(),
    comm: Array.from({ length: random.below(16) }, () => random.pick(characters)).join(''),
  }
  return Object.fromEntries(fields.map(({ name }) => [name, all[name as keyof typeof all]])) as unknown as Row
}
