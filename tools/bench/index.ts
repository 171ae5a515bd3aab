/**
 * What the tool costs: prints which programs ran and one table, and keeps all figures as JSON in dist/bench/run, to be compared with those of
 * another commit. Fails where the kernel refuses what is meant to be measured.
 *
 *   npm run bench [-- PART…] [--guests RELEASE,…] [--connections N,…] [--backends NAME,…]
 *   npm run bench -- compare RUN RUN
 *
 *   PART: overhead, drain, start, idle; all without. Only the overhead needs guests (6.1 and 7.3 without --guests), and only that is the same on
 *   every machine. Needs gcc, and root for all but the overhead.
 *   RUN: a file of a run, or the beginning of a commit's hash for the last run that was kept of it
 */
import { execFileSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { backends } from '../../src/backend/index.js'
import { cached, openArchive } from '../vm/archive.js'
import { runInGuest } from '../vm/guest.js'
import { fetchKernel } from '../vm/kernel.js'
import { compare } from './compare.js'
import type { Drain } from './drain.js'
import { idleWith, ranHere, type Start, starts } from './here.js'
import type { Overhead } from './overhead.js'
import { compilePingpong } from './pingpong.js'
import { commitOf, type Guest, keep, kept, placeHere, type Result } from './result.js'
import { ranLines, tableOf } from './table.js'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const built = `${root}/dist/bench`
const runs = `${built}/run`
const parts = ['overhead', 'drain', 'start', 'idle']
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    guests: { type: 'string', default: '6.1,7.3' },
    connections: { type: 'string', default: '10,1,400,5000' },
    backends: { type: 'string', default: backends.join() },
  },
})
const wants = (part: string) => positionals.length === 0 || positionals.includes(part)

try {
  if (positionals[0] === 'compare') compareRuns(positionals.slice(1))
  else await measure()
} catch (error) {
  console.error(`bench: ${(error as Error).message}`)
  process.exitCode = 1
}

function compareRuns(names: readonly string[]): void {
  const [one, other] = names.map(name => kept(runs, name))
  if (one === undefined || other === undefined || names.length > 2) throw new Error(`compare takes two runs, got ${names.length}`)
  console.log(compare(one, other))
}

async function measure(): Promise<void> {
  const unknown = positionals.filter(part => !parts.includes(part))
  if (unknown.length > 0) throw new Error(`parts are ${parts.join(', ')}, got ${unknown.join(', ')}`)
  compilePingpong()
  // Of what is checked out now, whatever happens to that meanwhile.
  const commit = commitOf(root)
  const ran = wants('start') || wants('idle') ? ranHere() : undefined
  const guests: Record<string, Guest> = {}
  if (wants('overhead')) for (const release of values.guests.split(',')) guests[release] = await overheadOn(release)
  const result: Result = {
    ...placeHere(),
    ...commit,
    date: new Date().toISOString(),
    guests,
    drain: wants('drain') ? [1000, 10_000, 100_000, 300_000, 1_000_000].map(drainOf) : [],
    ...ran === undefined ? {} : { ran },
    start: wants('start') ? await starts() : [],
    idle: wants('idle') ? [await idleWith(100), await idleWith(100_000)] : [],
  }
  const path = keep(runs, result)
  console.log(`${tableOf(result)}\nPrograms, with their instructions as loaded (and as the verifier rewrote them) and their runs an event:\n\n${ranLines(result)}\nkept as ${path}`)
}

/** In a guest, beside what Debian has of others' tools. */
async function overheadOn(release: string): Promise<Guest> {
  const others = cached('libbpf-tools-bookworm', folder => openArchive('amd64').unpack(['libbpf-tools'], folder, 'bookworm'))
  execFileSync('cp', ['-rT', others, `${built}/others`])
  const kernel = fetchKernel(release, 'amd64')
  const { status, output } = await runInGuest({
    kernel, root: '/', checkout: root, counted: true, patience: 3600,
    script: `cd '${root}'\nnode dist/tools/bench/overhead.js ${values.connections} ${values.backends}`,
  })
  if (status !== 0) throw new Error(`Linux ${release}: ${output}`)
  const figures = output.split('\n').filter(line => line.startsWith('{')).map(line => JSON.parse(line) as Overhead | Start)
  return { kernel: kernel.version, overhead: figures.filter(one => 'added' in one), start: figures.filter(one => 'cpu' in one) }
}

function drainOf(flows: number): Drain {
  return JSON.parse(execFileSync(process.execPath, ['--expose-gc', `${root}/dist/tools/bench/drain.js`, `${flows}`], { encoding: 'utf8' })) as Drain
}
