/**
 * Runs every case of tools/workload with every backend on Debian's kernels, in guests, and makes the table of tools/doc/accuracy.md of it. In a
 * guest a case that is not exact, or is not run, is a failure unless test/e2e/exception.ts says why. What each backend does with few capabilities
 * and in lockdown is tested there too.
 *
 *   npm run matrix [-- RELEASE[/ARCH][:PART,…]…] [--passes alone,together] [--seeds N] [--page]
 *
 *   ARCH: amd64 (default) or arm64     PART: a backend, one with `-no-btf` or `-random`, `capability` or `lockdown`; all but `-random` without
 *   --seeds: that many random mixes (test/e2e/random.ts), from SEED on if that is set, are watched in each `-random` part; without
 *     a PART only these run
 *   --page: rewrites the table in tools/doc/accuracy.md, of the last run without a failure of each backend on each kernel
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { backends } from '../../src/backend/index.js'
import { withBlock } from '../page.js'
import { closingLine, type Count, countOf } from '../uvu.js'
import { runInGuest } from './guest.js'
import { fetchKernel, releases } from './kernel.js'
import { archs, prepareFor } from './machine.js'
import { type MatrixColumn, tableOf } from './table.js'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const page = new URL('../../../tools/doc/accuracy.md', import.meta.url)
/** The columns of runs without a failure, so that what fails by its luck is run again alone. */
const kept = new URL('../../matrix.json', import.meta.url)
/** How much slower than this machine a guest may be. */
const patience = 10
/** Seconds for all cases of a backend, and for a random mix. */
const [most, mostOfMix] = [1500, 30]

/** What the cases of a backend came to in a guest. */
interface Outcome extends Count {
  readonly column: MatrixColumn
}

/** One after the other in a guest. */
interface Boot {
  /** The kernel's command line says so much more. */
  readonly append: string
  readonly parts: readonly { readonly name: string; readonly script: string }[]
}

const { values: { passes, page: rewrites, seeds: seedCount }, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    passes: { type: 'string', default: 'alone,together' },
    seeds: { type: 'string', default: '0' },
    page: { type: 'boolean', default: false },
  },
})
const seeds = Number(seedCount)
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))

const isRandom = (part: string) => part.endsWith('-random')
const boots: readonly Boot[] = [{
  append: '',
  parts: [
    ...backends.map(name => ({ name, script: `TCPTOP_BACKEND=${name} node dist/test/e2e/exact.js` })),
    // Integrity forbids nothing that the tool does: that needs no guest of its own.
    // Those that find their hooks by name.
    ...['kprobe', 'tracepoint'].map(name => ({
      name: `${name}-no-btf`,
      script: `mount -t tmpfs none /sys/kernel/btf\nTCPTOP_BACKEND=${name} node dist/test/e2e/exact.js\numount /sys/kernel/btf`,
    })),
    ...backends.map(name => ({
      name: `${name}-random`, script: `TCPTOP_BACKEND=${name} SEED=${seed} SEEDS=${seeds} node dist/test/e2e/random.js`,
    })),
    { name: 'capability', script: 'echo integrity > /sys/kernel/security/lockdown\nnode dist/test/e2e/capability.js' },
  ],
}, {
  append: 'lockdown=confidentiality',
  parts: [{ name: 'lockdown', script: 'node dist/test/e2e/lockdown.js' }],
}]

/** The guests of a kernel, which run these parts, or all. */
async function run(title: string, wanted: readonly string[] | undefined, passes: string): Promise<Outcome[]> {
  const [release = '', machine = 'amd64'] = title.split('/')
  const arch = archs.find(name => name === machine)
  if (arch === undefined) throw new Error(`no architecture ${machine}: ${archs.join(', ')}`)
  const kernel = fetchKernel(release, arch)
  const tree = prepareFor(arch, root)
  const all: Outcome[] = []
  const started = Date.now()
  for (const { append, parts: possible } of boots) {
    const parts = possible.filter(({ name }) => wanted === undefined ? isRandom(name) === seeds > 0 : wanted.includes(name))
    if (parts.length === 0) continue
    const { status, output } = await runInGuest({
      kernel, root: tree, checkout: root, append, patience: most * parts.length + mostOfMix * seeds,
      script: [
        `cd '${root}'`, `export NO_COLOR=1 TCPTOP_NO_SKIP=1 TCPTOP_PATIENCE=${patience} TCPTOP_PASSES=${passes}`,
        ...parts.map(({ name, script }) => `echo PART ${name}\n${script}`),
      ].join('\n'),
    })
    const said = output.split(/^PART /m).slice(1)
    const outcomes = parts.map(({ name }, index) => outcomeOf(title, name, said[index] ?? ''))
    for (const { column, passed, failed, skipped } of outcomes) {
      console.log(`${failed > 0 ? 'FAIL' : 'ok  '} Linux ${title} ${column.backend} (${passed})`)
      for (const reason of skipped) console.log(`SKIPPED Linux ${title} ${column.backend}: ${reason}`)
    }
    if (outcomes.some(({ failed }) => failed > 0)) console.log(output, status)
    all.push(...outcomes)
  }
  console.log(`     Linux ${kernel.version} ${arch} took ${Math.round((Date.now() - started) / 1000)} s`)
  return all
}

function outcomeOf(kernel: string, backend: string, output: string): Outcome {
  const outcomes = new Map([...output.matchAll(/CASE (\S+): (.*)$/gm)].map(([, name = '', outcome = '']) => [name, outcome.trim()]))
  return { column: { kernel, backend, outcomes }, ...countOf(output) }
}

const kernels = [...releases, '7.3/arm64']
const all: Outcome[] = []
if (seeds > 0) console.log(`     random mixes with seeds ${seed} to ${seed + seeds - 1}`)
for (const kernel of positionals.length > 0 ? positionals : kernels) {
  const [title = '', parts] = kernel.split(':')
  all.push(...await run(title, parts?.split(','), passes))
}
const sum = (of: (outcome: Outcome) => number) => all.reduce((total, outcome) => total + of(outcome), 0)
const [passed, failed] = [sum(one => one.passed), sum(one => one.failed)]
const columns = existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) as Record<string, [string, string][]> : {}
for (const { column: { kernel, backend, outcomes }, failed } of all) {
  if (failed === 0 && outcomes.size > 0 && passes.includes('together')) columns[`${kernel} ${backend}`] = [...outcomes]
}
writeFileSync(kept, JSON.stringify(columns))
if (rewrites) {
  const table = tableOf(kernels.flatMap(kernel => backends.flatMap((backend): MatrixColumn[] => {
    const outcomes = columns[`${kernel} ${backend}`]
    return outcomes === undefined ? [] : [{ kernel, backend, outcomes: new Map(outcomes) }]
  })))
  writeFileSync(page, withBlock(readFileSync(page, 'utf8'), 'matrix', table))
}
console.log(closingLine(passed, failed, sum(one => one.skipped.length)))
process.exitCode = failed > 0 ? 1 : 0
