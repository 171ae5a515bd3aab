/**
 * What the programs add to a send or a receive: the time of a ping-pong with them less the time without, in one boot. Where one
 * instruction lasts one nanosecond (`npm run vm -- -c`) these are instructions. Run in a guest by `npm run bench`; prints a line of
 * JSON for each figure.
 *
 *   node dist/tools/bench/overhead.js [CONNECTIONS,…] [BACKEND,…]
 */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { assemble, exit, mov, parseBtf, r0 } from '../../bpf-asm/index.js'
import { type Kernel, openKernel } from '../../syscall/index.js'
import { backends } from '../../src/backend/index.js'
import { factsOf } from '../../src/facts.js'
import { makePlans, type Plan } from '../../src/plan.js'
import type { Filter } from '../../src/program/index.js'
import { type Session, startSession } from '../../src/session.js'
import { eventsPerTrip, openPingpong, type Pingpong } from './pingpong.js'

/** Of what, beside no tool at all. */
export interface Overhead {
  readonly connections: number
  /** A backend, or another tool. */
  readonly tool: string
  readonly what: string
  /** Nanoseconds added to an event; null where it cannot be had, for a reason. */
  readonly added: number | null
  readonly reason?: string
}

const [connections = '10,1,400,5000', wanted = backends.map(({ name }) => name).join()] = process.argv.slice(2)
const everything: Filter = { pids: [], cgroup: false, cgroupIds: false, mntnsIds: false }
/** Round trips that are measured, and of them each connection at least one; and how often. */
const [trips, passes] = [1000, 5]
/** Where `npm run bench` puts what Debian has of them. */
const others = fileURLToPath(new URL('../../bench/others', import.meta.url))
/** Others' tools for the same purpose, as Debian installs them, and how they are told to keep quiet. */
const tools = [
  { tool: 'libbpf-tools', paths: ['/usr/sbin/tcptop', `${others}/usr/sbin/tcptop`], args: ['-C', '1000'] },
  { tool: 'bcc', paths: ['/usr/sbin/tcptop-bpfcc'], args: ['-C', '1000'] },
] as const

// Nothing else is kept waiting by it.
writeFileSync('/proc/sys/kernel/sched_rt_runtime_us', '-1')
const kernel = openKernel()
const facts = factsOf(parseBtf(readFileSync('/sys/kernel/btf/vmlinux')), process.arch)

for (const count of connections.split(',').map(Number)) {
  const pingpong = await openPingpong(count, 'fifo')
  const without = await timeOf(pingpong, count)
  const tell = (overhead: Omit<Overhead, 'connections'>) => console.log(JSON.stringify({ connections: count, ...overhead }))
  tell({ tool: 'none', what: 'an event itself', added: Math.round(without) })
  const cgroup = openSync('/sys/fs/cgroup', 'r')
  for (const backend of wanted.split(',').filter(name => name !== '')) {
    for (const { what, filter = {}, change } of variationsOf(pingpong.pid, count)) {
      const started = start(kernel, backend, { ...everything, ...filter }, change, cgroup)
      if (started instanceof Error) tell({ tool: backend, what, added: null, reason: started.message })
      else {
        tell({ tool: backend, what, added: Math.round(await timeOf(pingpong, count) - without) })
        started.close()
      }
    }
  }
  closeSync(cgroup)
  for (const { tool, paths, args } of count === 10 || count === 1 ? tools : []) {
    const path = paths.find(existsSync)
    if (path === undefined) tell({ tool, what: 'tcptop', added: null, reason: 'not installed' })
    else tell({ tool, what: 'tcptop', ...await timeBeside(pingpong, count, without, path, args) })
  }
  pingpong.close()
}

interface Variation {
  readonly what: string
  readonly filter?: Partial<Filter>
  readonly change: (plan: Plan) => Plan
}

/** Filters are told apart at one number of connections alone: they do the same at every other. */
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

function start(kernel: Kernel, backend: string, filter: Filter, change: (plan: Plan) => Plan, cgroup: number): Session | Error {
  let failure = new Error('no plan')
  try {
    for (const plan of makePlans({ backend, filter, maxFlows: 65_536 }, facts)) {
      try {
        return startSession(change(plan), kernel, filter.cgroup ? { cgroup } : {})
      } catch (error) {
        failure = error as Error
      }
    }
  } catch (error) {
    failure = error as Error
  }
  return failure
}

/**
 * Nanoseconds of an event: the least of several passes, for timers only add to it. After a pause a connection acknowledges its first 16 segments
 * at once (TCP_MAX_QUICKACKS), so those are left out; where there are thousands, there is such a pause between any two.
 */
async function timeOf(pingpong: Pingpong, count: number): Promise<number> {
  await pingpong.run(count > trips ? count : 20 * count)
  const times: number[] = []
  const perPass = Math.ceil(trips / count) * count
  for (let pass = 0; pass < (count > trips ? 1 : passes); pass++) times.push(await pingpong.run(perPass) / perPass / eventsPerTrip)
  return Math.min(...times)
}

async function timeBeside(
  pingpong: Pingpong, count: number, without: number, path: string, args: readonly string[],
): Promise<Pick<Overhead, 'added' | 'reason'>> {
  const child = spawn(path, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let reason = ''
  child.stderr.on('data', data => (reason += data))
  await sleep(Number(process.env.BENCH_WAIT ?? 5) * 1000)
  if (child.exitCode !== null) return { added: null, reason: reason.trim().split('\n').at(-1) ?? 'it has ended' }
  const added = Math.round(await timeOf(pingpong, count) - without)
  child.kill('SIGINT')
  return { added }
}
