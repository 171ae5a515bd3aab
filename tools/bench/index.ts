/**
 * What the tool costs: prints one table, and writes all figures as JSON to dist/bench/result.json.
 *
 *   npm run bench [-- PART…] [--guests RELEASE,…] [--connections N,…] [--backends NAME,…]
 *
 *   PART: overhead, drain, start, idle; all without. Only the overhead needs guests (6.1 and 7.3 without --guests), and only that is the same on
 *   every machine. Needs gcc, and root for all but the overhead.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { backends } from '../../src/backend/index.js'
import { cached, openArchive } from '../vm/archive.js'
import { runInGuest } from '../vm/guest.js'
import { fetchKernel } from '../vm/kernel.js'
import type { Drain } from './drain.js'
import { idleWith, type Start, starts } from './here.js'
import type { Overhead } from './overhead.js'
import { compilePingpong } from './pingpong.js'
import { type Guest, type Result, tableOf } from './table.js'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const built = `${root}/dist/bench`
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    guests: { type: 'string', default: '6.1,7.3' },
    connections: { type: 'string', default: '10,1,400,5000' },
    backends: { type: 'string', default: backends.join() },
  },
})
const wants = (part: string) => positionals.length === 0 || positionals.includes(part)
compilePingpong()

/** In a guest, beside what Debian has of others' tools. */
async function overheadOn(release: string): Promise<Guest> {
  const others = cached('libbpf-tools-bookworm', folder => openArchive('amd64').unpack(['libbpf-tools'], folder, 'bookworm'))
  execFileSync('cp', ['-rT', others, `${built}/others`])
  const { status, output } = await runInGuest({
    kernel: fetchKernel(release, 'amd64'), root: '/', checkout: root, counted: true, patience: 3600,
    script: `cd '${root}'\nnode dist/tools/bench/overhead.js ${values.connections} ${values.backends}`,
  })
  if (status !== 0) throw new Error(`Linux ${release}: ${output}`)
  const figures = output.split('\n').filter(line => line.startsWith('{')).map(line => JSON.parse(line) as Overhead | Start)
  return { overhead: figures.filter(one => 'added' in one), start: figures.filter(one => 'cpu' in one) }
}

function drainOf(flows: number): Drain {
  return JSON.parse(execFileSync(process.execPath, ['--expose-gc', `${root}/dist/tools/bench/drain.js`, `${flows}`], { encoding: 'utf8' })) as Drain
}

const guests: Record<string, Guest> = {}
if (wants('overhead')) for (const release of values.guests.split(',')) guests[release] = await overheadOn(release)
const result: Result = {
  machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
  date: new Date().toISOString(),
  guests,
  drain: wants('drain') ? [1000, 10_000, 100_000, 300_000, 1_000_000].map(drainOf) : [],
  start: wants('start') ? await starts() : [],
  idle: wants('idle') ? [await idleWith(100), await idleWith(100_000)] : [],
}
writeFileSync(`${built}/result.json`, `${JSON.stringify(result, undefined, 2)}\n`)
console.log(tableOf(result))
