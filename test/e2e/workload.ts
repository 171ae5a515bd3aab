import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { compileFor, programFor } from '../../tools/workload/compile.js'
import type { Line } from './tool.js'

/** What one process moved on one connection, by the return values of its own calls. */
export interface Truth {
  readonly pid: number
  readonly comm: string
  readonly family: 4 | 6
  readonly laddr: string
  readonly lport: number
  readonly raddr: string
  readonly rport: number
  readonly rx: number
  readonly tx: number
}

/** A program of tools/workload. */
export interface Case {
  readonly name: string
  /** Whether its sockets exist before the tool starts. */
  readonly before: boolean
}

export interface Result {
  readonly truth: readonly Truth[]
  /** Why this kernel cannot run it. */
  readonly skipped?: string
}

const program = programFor(process.arch)
/** Seconds after which a case hangs; `TCPTOP_PATIENCE` times as many on a machine that is so much slower. */
const patience = 60 * Number(process.env.TCPTOP_PATIENCE ?? 1)

/** Compiles the programs, if they have changed, and lists the cases. */
export function compile(): Case[] {
  compileFor(process.arch)
  return execFileSync(program, ['list'], { encoding: 'utf8' }).trimEnd().split('\n').map(line => {
    const [name = '', kind] = line.split(' ')
    return { name, before: kind === 'before' }
  })
}

/** A case that was started. */
export class Run {
  readonly #child: ChildProcess
  readonly #truth: Truth[] = []
  readonly #ended: Promise<unknown>
  readonly #ready: Promise<void>
  readonly #processes: number[] = []
  #skipped: string | undefined
  #stderr = ''

  /** `command`: `run` for a case, `random` for the mix whose seed is `name`. */
  constructor(readonly name: string, args: readonly string[] = [], command: 'run' | 'random' = 'run') {
    const child = spawn(program, [command, name, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child = child
    this.#ended = once(child, 'close')
    child.stderr.on('data', data => (this.#stderr += data))
    child.stdin.on('error', () => {})
    this.#ready = new Promise(resolve => {
      createInterface({ input: child.stdout }).on('line', line => {
        if (line === 'ready') return resolve()
        const parsed = JSON.parse(line) as Truth | { process: number; id: number } | { skip: string } | { done: true }
        if ('skip' in parsed) this.#skipped = parsed.skip
        else if ('process' in parsed) this.#processes[parsed.process] = parsed.id
        else if ('pid' in parsed) this.#truth.push(parsed)
      })
      void this.#ended.then(() => resolve())
    })
  }

  /** The pids of a mix's processes, once it is ready. */
  get processes(): readonly number[] {
    return this.#processes
  }

  /** Steps of a mix, where it was asked to print them. */
  get stderr(): string {
    return this.#stderr
  }

  /** Resolves when its sockets exist. */
  ready(): Promise<void> {
    return this.#ready
  }

  /** Lets a case that waits go on, and resolves when it has ended. Throws when it failed. */
  async finish(): Promise<Result> {
    this.#child.stdin?.end('\n')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), patience * 1000)
    await this.#ended
    clearTimeout(timer)
    if (this.#skipped !== undefined) return { truth: [], skipped: this.#skipped }
    if (this.#child.exitCode !== 0) throw new Error(`${this.name} failed (${this.#child.exitCode ?? this.#child.signalCode}): ${this.#stderr}`)
    return { truth: this.#truth }
  }
}

type Counts = { rx: number; tx: number; comm: string }

const keyOf = ({ pid, family, laddr, lport, raddr, rport }: Truth | Line['rows'][number]) =>
  `pid ${pid} IPv${family} ${laddr}:${lport} - ${raddr}:${rport}`

/** Adds up what the tool said of these processes. */
function told(lines: readonly Line[], pids: ReadonlySet<number>): Map<string, Counts> {
  const sums = new Map<string, Counts>()
  for (const row of lines.flatMap(({ rows }) => rows)) {
    if (!pids.has(row.pid)) continue
    const sum = sums.get(keyOf(row)) ?? { rx: 0, tx: 0, comm: '' }
    sums.set(keyOf(row), { rx: sum.rx + row.rx, tx: sum.tx + row.tx, comm: row.comm })
  }
  return sums
}

/** Every difference between what was moved and what the tool said, to the byte; nothing when it is exact. */
export function differences(truth: readonly Truth[], lines: readonly Line[]): string[] {
  const sums = told(lines, new Set(truth.map(({ pid }) => pid)))
  const wanted = new Map<string, Counts>()
  for (const row of truth) {
    const sum = wanted.get(keyOf(row)) ?? { rx: 0, tx: 0, comm: '' }
    wanted.set(keyOf(row), { rx: sum.rx + row.rx, tx: sum.tx + row.tx, comm: row.comm })
  }
  const found: string[] = []
  for (const [key, want] of wanted) {
    const have = sums.get(key) ?? { rx: 0, tx: 0, comm: want.comm }
    if (have.rx !== want.rx) found.push(`${key}: rx ${have.rx}, in truth ${want.rx}`)
    if (have.tx !== want.tx) found.push(`${key}: tx ${have.tx}, in truth ${want.tx}`)
    if (have.comm !== want.comm) found.push(`${key}: comm ${have.comm}, in truth ${want.comm}`)
  }
  for (const [key, have] of sums) if (!wanted.has(key)) found.push(`${key}: rx ${have.rx} tx ${have.tx}, in truth no such row`)
  return found
}
