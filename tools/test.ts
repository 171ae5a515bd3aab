/**
 * Runs the tests, each file in a process of its own, and ends with a line `N passed, N failed` (`, N skipped`). Files
 * that talk to the kernel run one at a time after all others, so that what one counts is not what another causes.
 *
 *   node dist/tools/test.js [PATTERN…]     only files whose path contains a pattern
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { closingLine, type Count, countOf } from './uvu.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** Seconds after which a file hangs. */
const patience = 900

interface Outcome extends Count {
  readonly file: string
  readonly output: string
}

/** Files of test/ that hold tests: those that import uvu. One that forgets to run them runs nothing, and so fails. */
function testFiles(patterns: readonly string[]): string[] {
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts') && /from 'uvu'$/m.test(readFileSync(join(root, 'test', file), 'utf8')))
    .filter(file => patterns.length === 0 || patterns.some(pattern => file.includes(pattern)))
    .sort()
}

const needsKernel = (file: string) => /^e2e\/|^syscall\/live/.test(file)

/** Signals a test file and all that it started, which is its process group. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function run(file: string, running: Set<ChildProcess>): Promise<Outcome> {
  return new Promise(resolve => {
    const child = spawn(process.execPath, [join(root, 'dist/test', file.replace(/ts$/, 'js'))], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      // Colours would hide what uvu says from outcome().
      env: { ...process.env, FORCE_COLOR: undefined },
    })
    running.add(child)
    let output = ''
    let hangs = false
    for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (output += data))
    const timer = setTimeout(() => {
      output += `\nstill running after ${patience} s\n`
      hangs = true
      signalGroup(child, 'SIGKILL')
      // Whoever left the group may still hold the pipes.
      for (const stream of [child.stdout, child.stderr]) stream.destroy()
    }, patience * 1000)
    child.on('close', status => {
      clearTimeout(timer)
      running.delete(child)
      resolve(outcome(file, hangs ? null : status, output))
    })
  })
}

/** What the file came to, which has failed too when it ends badly though no test of it has failed. */
function outcome(file: string, status: number | null, output: string): Outcome {
  const { passed, failed, skipped } = countOf(output)
  const ranNone = !/^ *Total: +[1-9]/m.test(output)
  return {
    file,
    passed,
    failed: failed === 0 && status !== 0 ? 1 : failed,
    skipped,
    output: ranNone ? `${output}\ntest/${file} ran no test: does it end with test.run()?\n` : output,
  }
}

async function main(patterns: readonly string[]): Promise<number> {
  const files = testFiles(patterns)
  const outcomes: Outcome[] = []
  // Groups of their own do not hear of a Ctrl-C, so it is passed on.
  const running = new Set<ChildProcess>()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      for (const child of running) signalGroup(child, signal)
      process.exit(1)
    })
  }
  const finish = (result: Outcome) => {
    outcomes.push(result)
    console.log(`${result.failed > 0 ? 'FAIL' : 'ok  '} ${result.file} (${result.passed})`)
    if (result.failed > 0) console.log(result.output)
  }
  const queue = files.filter(file => !needsKernel(file))
  const worker = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) finish(await run(file, running))
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  for (const file of files.filter(needsKernel)) finish(await run(file, running))

  const sum = (count: (result: Outcome) => number) => outcomes.reduce((total, result) => total + count(result), 0)
  const skipped = outcomes.flatMap(result => result.skipped.map(reason => `${result.file}: ${reason}`))
  for (const reason of skipped) console.log(`SKIPPED ${reason}`)
  const failed = sum(result => result.failed) + (files.length === 0 ? 1 : 0)
  console.log(closingLine(sum(result => result.passed), failed, skipped.length))
  return failed > 0 ? 1 : 0
}

process.exitCode = await main(process.argv.slice(2))
