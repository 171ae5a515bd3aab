/**
 * What the programs add to a send or a receive: the time of a ping-pong with them less the time without, in one boot; and what a start takes.
 * Where one instruction lasts one nanosecond (`npm run vm -- -c`) these are instructions. Run in a guest by `npm run bench`, for it changes
 * how the machine schedules and routes; prints a line of JSON for each figure. Fails where the kernel refuses the variant that is meant, or none
 * of its programs runs.
 *
 *   node dist/tools/bench/overhead.js [CONNECTIONS,…] [BACKEND,…]
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { assemble, exit, mov, parseBtf, r0 } from '../../bpf-asm/index.js'
import { factsOf } from '../../src/backend/facts.js'
import { backends } from '../../src/backend/index.js'
import type { Plan } from '../../src/backend/plan.js'
import type { Filter } from '../../src/program/index.js'
import { openKernel } from '../../syscall/index.js'
import { emptyNode, startsOf, tcptop } from './here.js'
import { type Ran, ranOf, startMeant } from './meant.js'
import { eventsPerTrip, openPingpong, type Pingpong } from './pingpong.js'

/** Of what, beside no tool at all. */
export interface Overhead {
  readonly connections: number
  /** A backend, or another tool. */
  readonly tool: string
  readonly what: string
  /** Nanoseconds added to an event; null where it cannot be had, for a reason. */
  readonly added: number | null
  /** How near a second pass came to the least, with and without. */
  readonly spread?: number
  readonly reason?: string
  /** Which of our programs ran meanwhile. */
  readonly ran?: Ran
}

const [connections = '10,1,400,5000', wanted = backends.join()] = process.argv.slice(2)
const everything: Filter = { pids: [], cgroup: false, cgroupIds: false, mntnsIds: false }
/** Round trips that are measured, and of them each connection at least one; and how often. */
const [trips, passes] = [1000, 5]
/** What an event takes may have changed by so much while something was measured. */
const tolerance = 10
/** Where `npm run bench` puts what Debian has of them. */
const others = fileURLToPath(new URL('../../bench/others', import.meta.url))
/** Others' tools for the same purpose, as Debian installs them, and how to make them quiet. */
const tools = [
  { tool: 'libbpf-tools', paths: ['/usr/sbin/tcptop', `${others}/usr/sbin/tcptop`], args: ['-C', '1000'] },
  { tool: 'bcc', paths: ['/usr/sbin/tcptop-bpfcc'], args: ['-C', '1000'] },
] as const

// Pingpong runs until it waits, but for what takes the packets that an interrupt has left over: older kernels take no others until that has run.
writeFileSync('/proc/sys/kernel/sched_rt_runtime_us', '-1')
for (const pid of threadsOf('ksoftirqd/0')) execFileSync('chrt', ['--fifo', '--pid', '2', pid])
const kernel = openKernel()
const facts = factsOf(parseBtf(readFileSync('/sys/kernel/btf/vmlinux')), process.arch)
const chosen = wanted.split(',').filter(name => name !== '')
const print = (figure: object) => console.log(JSON.stringify(figure))

const startable = chosen.filter(backend => {
  const started = start(backend, everything)
  if (started instanceof Error) return false
  started.close()
  return true
})
for (const figure of await startsOf([emptyNode, ...startable.map(backend => tcptop('--backend', backend))], 3)) print(figure)

for (const count of connections.split(',').map(Number)) {
  const pingpong = await openPingpong(count, 'steady')
  const tell = (overhead: Omit<Overhead, 'connections'>) => print({ connections: count, ...overhead })
  const { least, spread } = await timeOf(pingpong, count)
  tell({ tool: 'none', what: 'an event itself', added: Math.round(least), spread })
  const fd = openSync('/sys/fs/cgroup', 'r')
  const cgroup = { fd, id: fstatSync(fd, { bigint: true }).ino }
  for (const tool of chosen) {
    for (const { what, filter = {}, change } of variationsOf(pingpong.pid, count)) {
      tell({ tool, what, ...await addedBy(pingpong, count, () => start(tool, { ...everything, ...filter }, change, cgroup)) })
    }
  }
  closeSync(fd)
  for (const { tool, paths, args } of count === 10 || count === 1 ? tools : []) {
    tell({ tool, what: 'tcptop', ...await addedBy(pingpong, count, () => startOther(paths.find(existsSync), args)) })
  }
  pingpong.close()
}

/** What can be measured while it runs. */
interface Running {
  /** What ran during so many events of some work. To count runs takes time: nothing is measured meanwhile. */
  ranDuring?(events: number, work: () => Promise<unknown>): Promise<Ran>
  close(): unknown
}

interface Variation {
  readonly what: string
  readonly filter?: Partial<Filter>
  readonly change: (plan: Plan) => Plan
}

/** Filters are measured at one number of connections only: they do the same at every other. */
function variationsOf(pid: number, count: number): Variation[] {
  const same = (plan: Plan) => plan
  const always = [{ what: 'empty programs', change: hollow }, { what: 'everything', change: same }]
  return count !== 10 ? always : [
    ...always,
    { what: '--pid', filter: { pids: [pid] }, change: same },
    { what: '--pid of another', filter: { pids: [1] }, change: same },
    { what: '--cgroup', filter: { cgroup: true }, change: same },
    { what: '--ipv6', filter: { family: 6 }, change: same },
  ]
}

/** The same hooks, with nothing to do. */
function hollow(plan: Plan): Plan {
  const assembly = assemble([mov(r0, 0), exit()])
  return { ...plan, programs: plan.programs.map(program => ({ ...program, assembly })) }
}

function start(backend: string, filter: Filter, change?: (plan: Plan) => Plan, cgroup?: { fd: number; id: bigint }): Running | Error {
  const meant = startMeant({ backend, filter, maxFlows: 65_536 }, kernel, facts, change, filter.cgroup && cgroup ? { cgroup } : {})
  if (meant instanceof Error) return meant
  const { programs, close } = meant.session
  const counts = () => programs.map(program => program.info().runCount)
  return {
    close,
    ranDuring: async (events, work) => {
      const statistics = kernel.enableStats()
      if (statistics === undefined) throw new Error('this kernel does not count the runs of programs')
      const before = counts()
      await work()
      const runs = counts().map((count, index) => (count - before[index]!) / events)
      statistics.close()
      if (runs.every(count => count === 0)) throw new Error(`${backend} is not measured: none of its programs ran`)
      return ranOf(meant, runs)
    },
  }
}

/** Starts somebody else's tool, which makes itself at home for some seconds. */
async function startOther(path: string | undefined, args: readonly string[]): Promise<Running | Error> {
  if (path === undefined) return new Error('not installed')
  const child = spawn(path, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let reason = ''
  child.stderr.on('data', data => (reason += data))
  await sleep(Number(process.env.BENCH_WAIT ?? 5) * 1000)
  if (child.exitCode !== null) return new Error(reason.trim().split('\n').at(-1) ?? 'it has ended')
  return {
    close: () => {
      child.kill('SIGINT')
      return once(child, 'close')
    },
  }
}

/** What something adds to an event, which must take the same before and after it. */
async function addedBy(pingpong: Pingpong, count: number, start: () => Running | Error | Promise<Running | Error>): Promise<Pick<Overhead, 'added' | 'spread' | 'reason' | 'ran'>> {
  const before = await timeOf(pingpong, count)
  const started = await start()
  if (started instanceof Error) return { added: null, reason: started.message }
  const within = await timeOf(pingpong, count)
  const ran = await started.ranDuring?.(eventsPerTrip * count, () => pingpong.run(count))
  await started.close()
  const after = await timeOf(pingpong, count)
  if (Math.abs(after.least - before.least) > tolerance) return { added: null, reason: `an event took ${before.least} before and ${after.least} after` }
  return {
    added: Math.round(within.least - Math.min(before.least, after.least)),
    spread: Math.max(before.spread, within.spread, after.spread),
    ...ran === undefined ? {} : { ran },
  }
}

/**
 * Nanoseconds of an event: the least of several passes, for timers and the kernel's memory, which is in another state in each (see
 * pingpong.c), only add to it; and by how much the next was more.
 */
async function timeOf(pingpong: Pingpong, count: number): Promise<{ least: number; spread: number }> {
  // The first events of a connection are dearer: what is kept of it is made.
  await pingpong.run(count)
  const perPass = Math.ceil(trips / count) * count
  const times: number[] = []
  for (let pass = 0; pass < passes; pass++) {
    const before = segments()
    times.push(await pingpong.run(perPass) / perPass / eventsPerTrip)
    const perEvent = (segments() - before) / perPass / eventsPerTrip
    // Each byte, and its acknowledgement.
    if (perEvent !== 1) throw new Error(`${perEvent} segments per event: not all were acknowledged at once`)
  }
  const [least, next] = times.sort((one, other) => one - other) as [number, number]
  return { least, spread: Math.ceil(next - least) }
}

/** TCP segments that have come in. */
function segments(): number {
  const [names, values] = [...readFileSync('/proc/net/snmp', 'utf8').matchAll(/^Tcp: (.*)$/gm)].map(([, line]) => line!.split(' '))
  return Number(values![names!.indexOf('InSegs')])
}

/** Numbers of the threads of the kernel that have this name. */
function threadsOf(name: string): string[] {
  return readdirSync('/proc').filter(entry => /^\d+$/.test(entry) && readFileSync(`/proc/${entry}/comm`, 'utf8') === `${name}\n`)
}
