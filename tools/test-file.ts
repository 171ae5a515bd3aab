import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Count, countOf } from './uvu.js'

/** What came of a file of tests. */
export interface Outcome extends Count {
  readonly output: string
}

/** Preloaded into each file: names the test that runs. */
const announce = new URL('../test/kit/announce.js', import.meta.url).href

/** Signals a test file and all that it started, which is its process group. */
export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/**
 * Runs a compiled file of tests in a process of its own, which is in `running` meanwhile. When one of its tests takes more than `limit` seconds
 * the file is killed with all that it started, and has failed by the name of that test.
 */
export function runTestFile(path: string, limit: number, running = new Set<ChildProcess>()): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-run-'))
  const current = join(folder, 'test')
  writeFileSync(current, 'what comes before the first test')
  return new Promise(resolve => {
    const child = spawn(process.execPath, ['--import', announce, path], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      // Colours would hide what uvu says from countOf().
      env: { ...process.env, FORCE_COLOR: undefined, TCPTOP_TEST_NAME: current },
    })
    running.add(child)
    let output = ''
    let hangs = false
    for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (output += data))
    const watch = setInterval(() => {
      if (Date.now() - statSync(current).mtimeMs < limit * 1000) return
      hangs = true
      signalGroup(child, 'SIGKILL')
      // A process that left the group may still hold the pipes.
      for (const stream of [child.stdout, child.stderr]) stream.destroy()
    }, Math.min(1000, limit * 250))
    child.on('close', status => {
      clearInterval(watch)
      running.delete(child)
      const name = readFileSync(current, 'utf8')
      rmSync(folder, { recursive: true })
      resolve(outcome(hangs ? null : status, output, hangs ? `"${name}" still ran after ${limit} s` : `it ended in "${name}"`))
    })
  })
}

/** The result of a file from its output; a crash is a failure even if no test failed. `last` says where it ended. */
function outcome(status: number | null, output: string, last: string): Outcome {
  const { passed, failed, skipped } = countOf(output)
  const finished = /^ *Total: +[1-9]/m.test(output)
  return {
    passed,
    failed: failed === 0 && status !== 0 ? 1 : failed,
    skipped,
    output: finished && status !== null ? output : `${output}\nnot all tests were run: ${last}; does the file end with test.run()?\n`,
  }
}
