import { existsSync } from 'node:fs'
import { release } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'
import { type Exception, exceptionFor, wayOf } from './exception.js'
import { type Line, startTool } from './tool.js'
import { compile, differences, type Result, Run, type Truth } from './workload.js'

const { reason } = standAlone()
const cases = reason === undefined ? compile() : []
/** Only cases that begin so, for whoever looks into them. */
const only = process.env.CASE
const wanted = cases.filter(({ name }) => only === undefined || name.startsWith(only))
/** The backend that is tested; the one that is chosen if not told otherwise. */
const backend = process.env.TCPTOP_BACKEND ?? 'auto'
/** More arguments of the tool. */
const more = process.env.TCPTOP_ARGS?.split(' ') ?? []
const hasBtf = existsSync('/sys/kernel/btf/vmlinux') && !more.some(option => /^--(no-)?btf$/.test(option))
/** Without BTF there are no iterators. */
const older: Exception | undefined = hasBtf ? undefined : {
  cases: cases.filter(({ before }) => before).map(({ name }) => name), kind: 'inexact',
  reason: 'without BTF what the first call moves on a connection older than the tool is not counted',
}
/** How the cases are run: one after the other, or all at once. */
const passes = (process.env.TCPTOP_PASSES ?? 'alone,together').split(',')

/**
 * Lets the tool watch while `body` runs the cases; returns what it said. Those whose sockets exist before the tool are started before
 * it, all others when `body` comes to them.
 */
async function watch(body: (runs: () => Iterable<Run>) => Promise<void>): Promise<readonly Line[]> {
  const early = wanted.filter(({ before }) => before).map(({ name }) => new Run(name))
  await Promise.all(early.map(run => run.ready()))
  const tool = await startTool(['--backend', backend, ...more])
  try {
    await body(function* () {
      yield* early
      for (const { name, before } of wanted) if (!before) yield new Run(name)
    })
    await tool.next()
  } finally {
    assert.is(await tool.stop(), 0, tool.stderr)
  }
  return tool.lines
}

/** Runs of the tool's programs that the kernel skipped; null where it does not count them. */
function missedIn(lines: readonly Line[]): number | null {
  return lines.reduce((sum: number | null, { missed }) => sum === null || missed === null ? null : sum + missed, 0)
}

/** Fails when something was lost. That counts the whole host, so it says nothing where foreign processes moved bytes too. */
function nothingLost(lines: readonly Line[], truth: readonly Truth[]): void {
  const ours = new Set(truth.map(({ pid }) => pid))
  const foreign = lines.some(({ rows }) => rows.some(({ pid }) => pid !== 0 && !ours.has(pid)))
  if (!foreign) for (const { lost } of lines) assert.is(lost.events, 0, 'something was lost')
}

/** Fails unless the case was exact; one that is known not to be, or that the kernel is known to be unable to run, is told as skipped. */
function judge(name: string, { truth, skipped }: Result, lines: readonly Line[], known: Exception | undefined): void {
  if (skipped !== undefined) {
    if (known?.kind === 'absent') return pass(name, known.reason)
    return unless(skipped, name, () => {})() as void
  }
  assert.ok(truth.length > 0, `${name} told no truth`)
  const found = differences(truth, lines)
  if (known === undefined) {
    assert.is(found.length, 0, `${name}:\n${found.join('\n')}`)
    return tell(name, 'exact')
  }
  assert.is(known.kind, 'inexact', `${name} was run after all: its exception says ${known.reason}`)
  if (found.length > 0) pass(name, known.reason)
  else tell(name, 'exact')
}

/** Nothing is said of the case but why. */
function pass(name: string, reason: string): void {
  console.log(`SKIP ${name}: ${reason}`)
  tell(name, reason)
}

/** For whoever makes a table of it. */
function tell(name: string, outcome: string): void {
  console.log(`CASE ${name}: ${outcome}`)
}

if (reason !== undefined) {
  test('every case is exact', unless(reason, 'every case is exact', () => {}))
} else {
  for (const way of passes) {
    const results = new Map<string, Result | Error>()
    let lines: readonly Line[] = []
    let failure: unknown

    // One tool watches them all: each has processes of its own, so its bytes can be told from others'.
    test(`a tool watches all cases ${way}`, async () => {
      lines = await watch(async runs => {
        const finish = async (run: Run) => void results.set(run.name, await run.finish().catch((error: Error) => error))
        if (way === 'together') await Promise.all([...runs()].map(finish))
        else for (const run of runs()) await finish(run)
      }).catch((error: unknown) => {
        failure = error
        throw error
      })
      nothingLost(lines, [...results.values()].flatMap(result => result instanceof Error ? [] : result.truth))
    })

    for (const { name } of wanted) {
      test(`${name} is exact, ${way}`, () => {
        const result = results.get(name)
        if (failure !== undefined || result === undefined || result instanceof Error) throw result ?? new Error('it was not run')
        judge(name, result, lines, older?.cases.includes(name) ? older : exceptionFor(name, release(), wayOf(lines[0]!.backend, release(), hasBtf), missedIn(lines)))
      })
    }
  }
}

test.run()
