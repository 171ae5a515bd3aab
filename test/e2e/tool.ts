import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Row } from '../../src/frame/row.js'

/** A line of the tool's JSON. */
export interface Line {
  readonly v: number
  readonly time: string
  readonly interval: number
  readonly backend: string
  readonly loadavg: readonly number[] | null
  readonly rows: readonly (Row & { readonly pid: number; readonly comm: string })[]
  readonly total: { readonly rx: number; readonly tx: number }
  readonly lost: { readonly events: number; readonly rx: number; readonly tx: number }
  /** Runs of programs that the kernel skipped; null where it does not count them. */
  readonly missed: number | null
}

/** The tool at work. */
export interface Tool {
  readonly process: ChildProcess
  /** All lines so far. */
  readonly lines: readonly Line[]
  /** Resolves with the next line that begins after now. */
  next(): Promise<Line>
  /** Stops reading its output, and goes on. */
  pause(): void
  resume(): void
  /** Interrupts it and resolves with its exit status when all its output is read. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
  readonly stderr: string
}

export const cli = fileURLToPath(new URL('../../src/cli.js', import.meta.url))

/**
 * Starts the tool with JSON output and resolves when it is attached, which its first line tells. A command such as `setpriv --no-new-privs`
 * becomes what it is given; another `script` is the tool as it was packed.
 */
export async function startTool(
  args: readonly string[] = [], interval = 1, command: readonly string[] = [], script = cli,
): Promise<Tool> {
  const [file = '', ...rest] = [...command, process.execPath, script, '-f', 'json', ...args, String(interval)]
  const child = spawn(file, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
  const lines: Line[] = []
  const waiting: ((line: Line) => void)[] = []
  let stderr = ''
  child.stderr.on('data', data => (stderr += data))
  const reader = createInterface({ input: child.stdout }).on('line', text => {
    const line = JSON.parse(text) as Line
    lines.push(line)
    for (const resolve of waiting.splice(0)) resolve(line)
  })
  const ended = once(child, 'close')
  const next = () => new Promise<Line>((resolve, reject) => {
    waiting.push(resolve)
    void ended.then(() => reject(new Error(`the tool has ended: ${stderr}`)))
  })
  await next()
  return {
    process: child,
    lines,
    next,
    pause: () => void reader.pause(),
    resume: () => void reader.resume(),
    stop: async (signal = 'SIGINT') => {
      child.kill(signal)
      await ended
      return child.exitCode
    },
    get stderr() {
      return stderr
    },
  }
}
