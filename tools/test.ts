/**
 * Runs the tests, each file in a process of its own, and ends with a line `N passed, N failed` (`, N skipped`). Files
 * that talk to the kernel run one at a time after all others, so that what one counts is not what another causes.
 *
 *   node dist/tools/test.js [PATTERN…]     only files whose path contains a pattern
 */
import type { ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { whyCrowded, whyUnprivileged } from './privilege.js'
import { type Outcome, runTestFile, signalGroup } from './test-file.js'
import { closingLine, warning } from './uvu.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** Seconds that one test may take: the longest, in which a tool watches all cases, takes a minute on a busy machine. */
const patience = 300

/** Files of test/ that hold tests: those that import uvu. One that forgets to run them runs nothing, and so fails. */
function testFiles(patterns: readonly string[]): string[] {
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts') && !file.startsWith('kit/') && /from 'uvu'$/m.test(readFileSync(join(root, 'test', file), 'utf8')))
    .filter(file => patterns.length === 0 || patterns.some(pattern => file.includes(pattern)))
    .sort()
}

const needsKernel = (file: string) => /^e2e\/|^syscall\/live/.test(file)

async function main(patterns: readonly string[]): Promise<number> {
  process.chdir(root)
  const files = testFiles(patterns)
  const outcomes: (Outcome & { readonly file: string })[] = []
  // Process groups of their own get no Ctrl-C from the terminal, so it is passed on.
  const running = new Set<ChildProcess>()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      for (const child of running) signalGroup(child, signal)
      process.exit(1)
    })
  }
  const run = async (file: string) => {
    const outcome = await runTestFile(join(root, 'dist/test', file.replace(/ts$/, 'js')), patience, running)
    outcomes.push({ file, ...outcome })
    console.log(`${outcome.failed > 0 ? 'FAIL' : 'ok  '} ${file} (${outcome.passed})`)
    if (outcome.failed > 0) console.log(outcome.output)
  }
  const queue = files.filter(file => !needsKernel(file))
  const worker = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) await run(file)
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  for (const file of files.filter(needsKernel)) await run(file)

  for (const { file, skipped } of outcomes) for (const reason of skipped) console.log(`SKIPPED ${file}: ${reason}`)
  const reason = files.some(needsKernel) ? whyUnprivileged() ?? whyCrowded() : undefined
  if (reason !== undefined) console.log(warning(reason))
  const sum = (count: (outcome: Outcome) => number) => outcomes.reduce((total, outcome) => total + count(outcome), 0)
  const failed = sum(outcome => outcome.failed) + (files.length === 0 ? 1 : 0)
  console.log(closingLine(sum(outcome => outcome.passed), failed, sum(outcome => outcome.skipped.length)))
  return failed > 0 ? 1 : 0
}

process.exitCode = await main(process.argv.slice(2))
