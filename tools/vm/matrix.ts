/**
 * Runs every case of tools/workload with every backend on Debian's kernels, in guests, and makes README's table of it. In a guest a case that
 * is not exact, or is not run, is a failure unless test/e2e/exception.ts says why.
 *
 *   npm run matrix [-- RELEASE…] [--passes alone,together]     all releases: rewrites the table in README.md
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { backends } from '../../src/backend/index.js'
import { compileFor } from '../workload/compile.js'
import { runInGuest } from './guest.js'
import { fetchKernel, releases } from './kernel.js'
import { type Column, tableOf } from './table.js'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const readme = new URL('../../../README.md', import.meta.url)
/** How much slower than this machine a guest may be. */
const patience = 10
/** Seconds for all cases of a backend. */
const most = 1500

/** What the cases of a backend came to in a guest; what uvu counted. */
interface Outcome {
  readonly column: Column
  readonly passed: number
  readonly failed: number
}

/** A guest that runs the cases of each backend, one after the other. */
async function run(release: string, passes: string): Promise<Outcome[]> {
  const kernel = fetchKernel(release, 'amd64')
  const names = backends.map(({ name }) => name)
  const script = names.map(name => `echo BACKEND ${name}; TCPTOP_BACKEND=${name} node dist/test/e2e/exact.js`).join('\n')
  const started = Date.now()
  const { status, output } = await runInGuest({
    kernel, root: '/', checkout: root, patience: most * names.length,
    script: `cd '${root}'\nexport NO_COLOR=1 TCPTOP_NO_SKIP=1 TCPTOP_PATIENCE=${patience} TCPTOP_PASSES=${passes}\n${script}`,
  })
  const parts = output.split(/^BACKEND /m).slice(1)
  const outcomes = names.map((name, index) => outcomeOf(release, name, parts[index] ?? ''))
  for (const { column, passed, failed } of outcomes) {
    console.log(`${failed > 0 ? 'FAIL' : 'ok  '} Linux ${release} ${column.backend} (${passed})`)
  }
  if (outcomes.some(({ failed }) => failed > 0)) console.log(output, status)
  console.log(`     Linux ${kernel.version} took ${Math.round((Date.now() - started) / 1000)} s`)
  return outcomes
}

function outcomeOf(release: string, backend: string, output: string): Outcome {
  const said = (name: string) => Number(new RegExp(`^ *${name}: +(\\d+)$`, 'm').exec(output)?.[1] ?? 0)
  const outcomes = new Map([...output.matchAll(/CASE (\S+): (.*)$/gm)].map(([, name = '', outcome = '']) => [name, outcome.trim()]))
  const [total, passed] = [said('Total'), said('Passed')]
  return { column: { release, backend, outcomes }, passed, failed: total === 0 ? 1 : total - passed }
}

const { values: { passes }, positionals } = parseArgs({
  allowPositionals: true, options: { passes: { type: 'string', default: 'alone,together' } },
})
compileFor(process.arch)
const all: Outcome[] = []
for (const release of positionals.length > 0 ? positionals : releases) all.push(...await run(release, passes))
const [passed, failed] = [all, all].map((outcomes, index) => outcomes.reduce((sum, one) => sum + (index === 0 ? one.passed : one.failed), 0))
if (failed === 0 && positionals.length === 0) {
  const [start, end] = ['<!-- matrix -->\n', '<!-- /matrix -->']
  const text = readFileSync(readme, 'utf8')
  const [from, to] = [text.indexOf(start) + start.length, text.indexOf(end)]
  writeFileSync(readme, `${text.slice(0, from)}${tableOf(all.map(({ column }) => column))}${text.slice(to)}`)
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed! > 0 ? 1 : 0
