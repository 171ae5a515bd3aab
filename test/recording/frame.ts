import type { Shown as Frame } from '../../src/frame/index.js'
import { type Run, openRecorder, type RecordedFrame, type RecorderOptions } from '../../src/recording/index.js'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Random } from '../kit/random.js'
import { run } from './traffic.js'

/** The frame without what a recording adds. */
export function plain({ rows, origin: _, identities: __, values: ___, entries: ____, ...frame }: RecordedFrame): Frame {
  return { ...frame, rows: [...rows] }
}

/** The frame as it is read back: without the noise below a microsecond. */
export function rounded(frame: Frame): Frame {
  const micro = (value: number) => Math.round(value * 1e6) / 1e6
  const { cost: { cpu, drain, run, ...cost } } = frame
  return { ...frame, interval: micro(frame.interval), cost: { ...cost, cpu: micro(cpu), drain: micro(drain), run: run === null ? null : micro(run) } }
}

const characters = [...'az09 ,";:/\\\n\r\t\x1b\x7f\u202e\ufffdé🐧']

/** A frame in which everything occurs: names that no one should print, processes without a number here, addresses of both families, large sums. */
export function randomFrame(random: Random, time: Date): Frame {
  const text = () => Array.from({ length: random.below(16) }, () => random.pick(characters)).join('')
  const bytes = () => random.below(2 ** random.below(53))
  const rows = Array.from({ length: random.below(20) }, () => {
    const family = random.pick([4, 6] as const)
    const address = () => family === 4 ? `10.0.${random.below(2)}.${random.below(4)}` : random.pick(['::1', 'fe80::1', '2001:db8::1:0:0:1'])
    return {
      ...random.chance(0.9) ? { pid: random.below(5) } : {},
      ...random.chance(0.5) ? { hostPid: random.below(5) } : {},
      comm: text(), family, laddr: address(), lport: random.below(3), raddr: address(), rport: random.below(3), cgroup: `/${text()}`,
      rx: bytes(), tx: bytes(),
    }
  })
  const sum = (field: 'rx' | 'tx') => rows.reduce((sum, row) => sum + row[field], 0) % 2 ** 53
  return {
    time, interval: random.below(1e9) / 7e8, backend: random.pick(['fentry', 'kprobe']), loadavg: random.pick([null, '0.08 0.02 0.17 2/367 17342']),
    rows, total: { rx: sum('rx'), tx: sum('tx') }, sinceStart: { rx: bytes(), tx: bytes() }, flows: random.below(99), lost: { events: random.below(2), rx: random.below(9), tx: random.below(9) },
    missed: random.pick([null, 0, 7]),
    cost: { cpu: random.below(1e9) / 1e12, drain: random.below(1e9) / 1e12, runs: random.pick([null, 12]), run: random.pick([null, 1 / 3]) },
  }
}

/** A folder that is there as long as `use` takes. */
export async function inFolder(use: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-recording-'))
  try {
    await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What a recorder is given, and what it notes. */
export function surroundings(change: Partial<RecorderOptions> = {}): RecorderOptions & { readonly notes: string[]; readonly run: Run } {
  const notes: string[] = []
  return { run, note: line => notes.push(line), now: () => new Date('2026-03-01T00:00:00Z'), notes, ...change }
}

/** Records frames to a path. */
export async function record(path: string, frames: Iterable<Frame>, options = surroundings()): Promise<readonly string[]> {
  const recorder = await openRecorder(path, options)
  try {
    for (const frame of frames) await recorder.write(frame)
  } finally {
    await recorder.close()
  }
  return options.notes
}
