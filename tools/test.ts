/**
 * Runs the tests, each file in a process of its own, and ends with a line `N passed, N failed` (`, N skipped`). Files that talk to the kernel
 * run one at a time after all others, so that what one counts is not what another causes.
 *
 *   node dist/tools/test.js [PATTERN…]     only files whose path contains a pattern
 */
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** Seconds after which a file hangs. */
const patience = 900

interface Outcome {
  readonly file: string
  readonly passed: number
  readonly failed: number
  readonly skipped: readonly string[]
  readonly output: string
}

/** Files of test/ that hold tests; one that imports uvu and forgets to run them is an error, for uvu would say nothing. */
function testFiles(patterns: readonly string[]): string[] {
  const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts')).sort()
  return files.filter(file => {
    const source = readFileSync(join(root, 'test', file), 'utf8')
    const runs = /^(test|uvu)\.run\(\)$/m.test(source)
    if (!runs && /from 'uvu'/.test(source)) throw new Error(`test/${file} never runs its tests`)
    return runs && (patterns.length === 0 || patterns.some(pattern => file.includes(pattern)))
  })
}

const needsKernel = (file: string) => /^e2e\/|^syscall\/live/.test(file)

function run(file: string): Promise<Outcome> {
  return new Promise(resolve => {
    const child = spawn(process.execPath, [join(root, 'dist/test', file.replace(/ts$/, 'js'))], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (output += data))
    const timer = setTimeout(() => {
      output += `\nstill running after ${patience} s\n`
      child.kill('SIGKILL')
    }, patience * 1000)
    child.on('close', status => {
      clearTimeout(timer)
      resolve(outcome(file, status, output))
    })
  })
}

/** What uvu says at the end, and the lines that say what was not run. A file that ends badly or runs nothing has failed. */
function outcome(file: string, status: number | null, output: string): Outcome {
  const said = (name: string) => Number(new RegExp(`^ *${name}: +(\\d+)$`, 'm').exec(output)?.[1] ?? 0)
  const skipped = [...output.matchAll(/^[•✘ ]*SKIP (.*)$/gm)].map(match => match[1] ?? '')
  const [total, passed] = [said('Total'), said('Passed')]
  const failed = total - passed - said('Skipped')
  const broken = total === 0 || (status !== 0 && failed === 0)
  return { file, passed: passed - skipped.length, failed: failed + (broken ? 1 : 0), skipped, output }
}

async function main(patterns: readonly string[]): Promise<number> {
  const files = testFiles(patterns)
  const outcomes: Outcome[] = []
  const finish = (result: Outcome) => {
    outcomes.push(result)
    console.log(`${result.failed > 0 ? 'FAIL' : 'ok  '} ${result.file} (${result.passed})`)
    if (result.failed > 0) console.log(result.output)
  }
  const queue = files.filter(file => !needsKernel(file))
  const worker = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) finish(await run(file))
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  for (const file of files.filter(needsKernel)) finish(await run(file))

  const sum = (count: (result: Outcome) => number) => outcomes.reduce((total, result) => total + count(result), 0)
  const skipped = outcomes.flatMap(result => result.skipped.map(reason => `${result.file}: ${reason}`))
  for (const reason of skipped) console.log(`SKIPPED ${reason}`)
  const failed = sum(result => result.failed) + (files.length === 0 ? 1 : 0)
  console.log(`${sum(result => result.passed)} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`)
  return failed > 0 ? 1 : 0
}

process.exitCode = await main(process.argv.slice(2))
