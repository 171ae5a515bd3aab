import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { factsOf } from '../../src/backend/facts.js'
import { kernelBtf } from '../../src/trace/index.js'
import { openKernel } from '../../syscall/index.js'
import { type Ran, ranOf, startMeant } from './meant.js'
import { openPingpong } from './pingpong.js'

/** What users start, bundled. */
const cli = fileURLToPath(new URL('../../bin/tcptop.js', import.meta.url))

/**
 * Without what is meant for other programs: NODE_EXTRA_CA_CERTS alone makes every Node.js read some hundred certificates, three times as long as an
 * empty one takes to start, which would make ours look little beside it.
 */
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_')))

/** Milliseconds of CPU and of the clock. */
interface Times {
  readonly cpu: number
  readonly wall: number
}

/** A program until its first output. */
export interface Start extends Times {
  readonly what: string
}

/** The tool with so many flows, at 1 s: its share of a processor, and megabytes at most. */
export interface Idle {
  readonly flows: number
  readonly share: number
  readonly peak: number
}

/** Milliseconds of CPU of a process and all its threads (Documentation/scheduler/sched-stats.rst). */
function cpuOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, task) => sum + Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]), 0) / 1e6
}

/** A program to start: Node.js with arguments. It says its first word when it has started, the tool when it is attached. */
export interface Startable {
  readonly what: string
  readonly args: readonly string[]
}

export const emptyNode: Startable = { what: 'an empty Node.js', args: ['-e', 'process.stdout.write("."); setTimeout(() => {}, 1e6)'] }
export const tcptop = (...args: readonly string[]): Startable => ({ what: ['tcptop', ...args].join(' '), args: [cli, ...args] })

/** Starts programs in turn, again and again, so that what else the machine does is the same for all, and takes the medians. */
export async function startsOf(programs: readonly Startable[], times: number): Promise<Start[]> {
  const all = programs.map(() => [] as Times[])
  for (let time = 0; time < times; time++) {
    for (const [index, program] of programs.entries()) all[index]!.push(await startOnce(program))
  }
  const median = (of: keyof Times, some: readonly Times[]) => some.map(one => one[of]).sort((one, other) => one - other)[times >> 1]!
  return programs.map(({ what }, index) => ({ what, cpu: median('cpu', all[index]!), wall: median('wall', all[index]!) }))
}

async function startOnce({ args }: Startable): Promise<Times> {
  const before = performance.now()
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env: environment })
  await once(child.stdout, 'data')
  const start = { cpu: cpuOf(child.pid!), wall: performance.now() - before }
  child.kill('SIGKILL')
  await once(child, 'close')
  return start
}

/** How often each is started here. */
export const startTimes = 31

export const starts = (): Promise<Start[]> => startsOf([emptyNode, tcptop('-f', 'csv', '1000'), tcptop('-C', '-p', '1', '5')], startTimes)

/** What the tool starts here by itself. Throws where the kernel refuses the variant that it prefers. */
export function ranHere(): Ran {
  const filter = { pids: [], cgroup: false, cgroupIds: false, mntnsIds: false }
  const meant = startMeant({ backend: 'auto', filter, maxFlows: 65_536 }, openKernel(), factsOf(kernelBtf(), process.arch))
  if (meant instanceof Error) throw meant
  const ran = ranOf(meant)
  meant.session.close()
  return ran
}

/** As many as a process may have open where the limit is 20,000 files. */
function partsOf(all: number, most: number): number[] {
  return Array.from({ length: Math.ceil(all / most) }, (_, index) => Math.min(most, all - index * most))
}

/** The tool beside connections that do nothing. Two ends, and so two flows, are a connection. */
export async function idleWith(flows: number, seconds = 10): Promise<Idle> {
  const processes = await Promise.all(partsOf(flows / 2, 9000).map(connections => openPingpong(connections)))
  const child = spawn(process.execPath, [cli, '-f', 'csv', '-r', '20', '--max-flows', `${Math.max(65_536, 2 * flows)}`, '1'], { stdio: ['ignore', 'pipe', 'inherit'], env: environment })
  try {
    await once(child.stdout, 'data')
    child.stdout.resume()
    await Promise.all(processes.map(process => process.run(Math.min(flows / 2, 9000))))
    // Some seconds later the garbage of the start is collected.
    await sleep(12_000)
    const before = cpuOf(child.pid!)
    await sleep(1000 * seconds)
    const share = (cpuOf(child.pid!) - before) / 1000 / seconds
    const peak = Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024
    return { flows, share, peak }
  } finally {
    child.kill('SIGINT')
    for (const process of processes) process.close()
  }
}
