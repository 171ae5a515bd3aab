/**
 * Random mixes of tools/workload beside the tool, whose rows must be the truth to the byte, whatever it was told to count and whenever it was
 * started.
 *
 *   SEEDS=N         how many mixes (16); those watched together have seeds that follow each other
 *   SEED=S          the first seed
 *   CONFIG='…'      how all are watched, as a failure prints it
 *   STEPS=N LANES=A,B   only so much of each mix
 *   SHRINK=1        with a failure looks for one lane of one mix, and the fewest of its steps, that fail too
 *   TRACE=1         with a failure prints the steps of the mixes that were in it
 */
import { existsSync, mkdirSync, rmdirSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'
import { Random } from '../kit/random.js'
import { wayOf } from './exception.js'
import { type Line, startTool } from './tool.js'
import { compile, Run, type Truth } from './workload.js'

/** How the tool watches. */
interface Config {
  /** Of `--max-flows`; 0 for the default, which is enough for all. */
  readonly flows: number
  /** How many steps each lane of a mix has made when the tool starts. */
  readonly start: number
  /** Which processes are chosen, if not all: `pid` by `-p`, `cgroup` by `-c`. */
  readonly choice: 'none' | 'pid' | 'cgroup'
  /** A bit for each process that is chosen. */
  readonly members: number
  /** 0: both. */
  readonly family: 0 | 4 | 6
  readonly interval: number
}

/** Mixes that are watched together. */
interface Round {
  readonly seeds: readonly number[]
  readonly config: Config
  /** Only so many steps of each lane, and only these lanes: all without. */
  readonly steps?: number | undefined
  readonly lanes?: string | undefined
}

const backend = process.env.TCPTOP_BACKEND ?? 'auto'
const more = process.env.TCPTOP_ARGS?.split(' ') ?? []
const hasBtf = existsSync('/sys/kernel/btf/vmlinux')
const { reason, cgroup } = standAlone()
const group = join(cgroup, 'chosen')
/** Nothing else moves bytes in a machine that exists to run tests, so what is lost without a filter is the mixes'. */
const isQuiet = process.env.TCPTOP_NO_SKIP !== undefined
/** Mixes in a round. */
const together = 4

const textOf = (config: Config) => Object.entries(config).map(([name, value]) => `${name}=${value}`).join(' ')

function configOf(text: string): Config {
  const fields = new Map(text.split(' ').map(field => field.split('=') as [string, string]))
  const number = (name: string) => Number(fields.get(name))
  return {
    flows: number('flows'), start: number('start'), choice: fields.get('choice') as Config['choice'], members: number('members'),
    family: number('family') as Config['family'], interval: number('interval'),
  }
}

function drawConfig(random: Random): Config {
  return {
    flows: random.pick([0, 0, 0, 1, 64, 1000]),
    start: random.chance(0.5) ? 0 : 1 + random.below(60),
    choice: random.pick(['none', 'pid', 'cgroup', 'cgroup']),
    members: 1 + random.below(15),
    family: random.pick([0, 0, 0, 0, 4, 6]),
    interval: random.pick([0.1, 1]),
  }
}

/** Without SEED the same mixes each time: whether the suite passes is no matter of luck. Others are for `SEED`, and for the matrix. */
const usual = 100_000

function rounds(): Round[] {
  const random = new Random(Number(process.env.SEED ?? usual))
  const count = Number(process.env.SEEDS ?? 16)
  const all: Round[] = []
  for (let first = 0; first < count; first += together) {
    const seeds = Array.from({ length: Math.min(together, count - first) }, (_, index) => random.seed + first + index)
    const config = process.env.CONFIG === undefined ? drawConfig(new Random(seeds[0])) : configOf(process.env.CONFIG)
    const steps = process.env.STEPS === undefined ? undefined : Number(process.env.STEPS)
    all.push({ seeds, config, steps, lanes: process.env.LANES })
  }
  return all
}

interface Watched {
  readonly runs: readonly Run[]
  readonly truth: readonly Truth[]
  readonly lines: readonly Line[]
}

const isMember = (config: Config, process: number) => (config.members >> process & 1) === 1

/** Starts the mixes, the tool when they have come to its start, and lets all end. */
async function watch({ seeds, config, steps, lanes }: Round): Promise<Watched> {
  const args = ['--pause', `${config.start}`, '--cgroup', `${group}:${config.choice === 'cgroup' ? config.members : 0}`]
  // Packets do not show who sent what waits for room, so with them no socket is shared.
  if (backend === 'tracepoint' && wayOf(backend, release(), hasBtf) === 'packet') args.push('--alone')
  if (steps !== undefined) args.push('--steps', `${steps}`)
  if (lanes !== undefined) args.push('--lanes', lanes)
  if (process.env.TRACE !== undefined) args.push('--trace')
  const runs = seeds.map(seed => new Run(`${seed}`, args, 'random'))
  await Promise.all(runs.map(run => run.ready()))
  const pids = runs.flatMap(({ processes }) => processes.filter((_, process) => isMember(config, process)))
  const finish = () => Promise.all(runs.map(run => run.finish()))
  const tool = await startTool([
    '--backend', backend, ...more,
    ...config.flows > 0 ? ['--max-flows', `${config.flows}`] : [],
    ...config.choice === 'pid' ? ['-p', pids.length > 0 ? pids.join(',') : '4194304'] : [],
    ...config.choice === 'cgroup' ? ['-c', group] : [],
    ...config.family > 0 ? [`-${config.family}`] : [],
  ], config.interval).catch(async (error: unknown) => {
    await finish() // they wait for a line
    throw error
  })
  try {
    const results = await finish()
    const skipped = results.map(({ skipped }) => skipped).find(reason => reason !== undefined)
    if (skipped !== undefined) throw new NotJudged(skipped)
    return { runs, truth: results.flatMap(({ truth }) => truth), lines: tool.lines }
  } finally {
    const status = await tool.stop()
    if (status !== 0) throw new Error(`the tool ended with ${status}: ${tool.stderr}`)
  }
}

/** A mix was not run, or its truth is not known. */
class NotJudged extends Error {}

/** Watches; again where a call in flight went on while the tool started, so that nobody knows what it moved before. */
async function watchJudged(round: Round, tries = 5): Promise<Watched> {
  try {
    return await watch(round)
  } catch (error) {
    if (!(error instanceof NotJudged) || tries === 1) throw error
    console.log(`again: ${error.message}`)
    return watchJudged(round, tries - 1)
  }
}

interface Amount {
  rx: number
  tx: number
}

function sumBy<Item extends Amount, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Amount> {
  const sums = new Map<Key, Amount>()
  for (const item of items) {
    const sum = sums.get(keyOf(item)) ?? { rx: 0, tx: 0 }
    sums.set(keyOf(item), { rx: sum.rx + item.rx, tx: sum.tx + item.tx })
  }
  return sums
}

const total = (items: readonly Amount[]) => sumBy(items, () => 0).get(0) ?? { rx: 0, tx: 0 }
const none: Amount = { rx: 0, tx: 0 }
const directions = ['rx', 'tx'] as const

/** Every way in which what the tool printed is not the truth. */
function differences({ config }: Round, { runs, truth, lines }: Watched): string[] {
  const found: string[] = []
  const chosenPids = new Set(runs.flatMap(({ processes }) => processes.filter((_, process) => isMember(config, process))))
  const isWanted = ({ pid, comm, family }: Truth) => (config.family === 0 || family === config.family) && (
    config.choice === 'none' || config.choice === 'pid' && chosenPids.has(pid) ||
    // A child is in the cgroup of its parent, after which it is called.
    config.choice === 'cgroup' && isMember(config, Number(/^mix(\d+)/.exec(comm)?.[1])))
  const wanted = truth.filter(isWanted)
  const rows = lines.flatMap(({ rows }) => rows)
  const own = new Set(truth.map(({ pid }) => pid))
  const names = new Map(truth.map(({ pid, comm }) => [pid, comm]))
  const shown = sumBy(rows.filter(({ pid }) => own.has(pid)), ({ pid }) => pid)
  const moved = sumBy(wanted, ({ pid }) => pid)
  const lost = total(lines.map(({ lost }) => lost))
  const missed = lines.some(({ missed }) => typeof missed === 'number') ? lines.reduce((sum, { missed }) => sum + (missed ?? 0), 0) : null
  const losesOwnAlone = config.choice !== 'none' || isQuiet
  const [all, want] = [total([...shown.values()]), total(wanted)]

  for (const pid of new Set([...shown.keys(), ...moved.keys()])) {
    const [have, should] = [shown.get(pid) ?? none, moved.get(pid) ?? none]
    for (const direction of directions) {
      const [is, ought] = [have[direction], should[direction]]
      // Of a full map the rest may be lost; but what is shown of a process is never more than it moved.
      const isRight = config.flows === 0 ? is === ought : is <= ought
      if (!isRight && !(missed ?? 0)) found.push(`${names.get(pid)} ${pid}: ${direction} ${is}, in truth ${ought} (${is - ought})`)
    }
  }
  for (const direction of directions) {
    const sum = all[direction] + lost[direction]
    const difference = sum - want[direction]
    const isRight = losesOwnAlone ? difference === 0 : difference >= 0
    // Who is charged with what a skipped run would have seen is not certain, so neither is whether it is wanted; and a FIN that nobody saw is a byte.
    const isExcused = (missed ?? 0) > 0 && (config.choice !== 'none' || Math.abs(difference) <= (missed ?? 0))
    if (!isRight && !isExcused) found.push(`all: ${direction} ${all[direction]} and lost ${lost[direction]}, in truth ${want[direction]} (${difference})`)
    if (config.flows === 0 && losesOwnAlone && lost[direction] > 0) found.push(`lost: ${direction} ${lost[direction]}`)
  }
  for (const { pid, comm, ...row } of rows) {
    if (config.choice !== 'none' && !own.has(pid)) found.push(`not wanted: ${JSON.stringify({ pid, comm, ...row })}`)
    else if (pid === 0 && found.length > 0) found.push(`perhaps of these: ${JSON.stringify({ pid, comm, ...row })}`)
  }
  if (found.length > 0) found.push(`lost ${JSON.stringify(lost)}, missed ${missed}`)
  return found
}

const titleOf = ({ seeds, config, steps, lanes }: Round) => [
  `SEED=${seeds[0]} SEEDS=${seeds.length} CONFIG='${textOf(config)}'`,
  ...lanes === undefined ? [] : [`LANES=${lanes}`], ...steps === undefined ? [] : [`STEPS=${steps}`],
].join(' ')

async function firstDifference(round: Round): Promise<string | undefined> {
  return differences(round, await watchJudged(round))[0]
}

/** Watches each mix alone, as it was watched in a round that failed, and says which of them fail so too. */
async function alone(round: Round): Promise<Map<number, string | undefined>> {
  const found = new Map<number, string | undefined>()
  for (const seed of round.seeds) found.set(seed, await firstDifference({ ...round, seeds: [seed] }))
  return found
}

/** The part of a mix that fails too: one lane, if one is enough, and the fewest of its steps, as far as they can be found by halving. */
async function shrink(round: Round): Promise<Round> {
  let least = round
  for (const lanes of ['0', '1', '2', '3']) {
    const part = { ...round, lanes }
    // There may be fewer lanes.
    if (await firstDifference(part).catch(() => undefined) === undefined) continue
    least = part
    break
  }
  let [passes, fails] = [least.config.start, 140]
  while (fails - passes > 1) {
    const steps = passes + fails >> 1
    if (await firstDifference({ ...least, steps }) === undefined) passes = steps
    else fails = steps
  }
  return { ...least, steps: fails }
}

if (reason === undefined) compile()

test.before(() => {
  if (reason === undefined) mkdirSync(group)
})
test.after(() => {
  if (reason === undefined) rmdirSync(group)
})

for (const round of rounds()) {
  const title = titleOf(round)
  test(title, unless(reason, title, async () => {
    console.log(title)
    const watched = await watchJudged(round)
    const found = differences(round, watched)
    if (found.length === 0) return
    const shown = [...found.slice(0, 20), ...found.length > 20 ? [`and ${found.length - 20} more`] : []]
    const each = await alone(round)
    for (const [seed, difference] of each) shown.push(`seed ${seed} alone: ${difference ?? 'exact'}`)
    const [failing] = [...each].find(([, difference]) => difference !== undefined) ?? []
    if (process.env.SHRINK !== undefined && failing !== undefined) shown.push(titleOf(await shrink({ ...round, seeds: [failing] })))
    if (process.env.TRACE !== undefined) shown.push(...watched.runs.map(({ stderr }) => stderr))
    const error = new Error(`${title}\n${shown.join('\n')}`)
    error.stack = '' // which would print all of it again
    throw error
  }))
}

test.run()
