import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { unless, whyUnprivileged } from '../privilege.js'
import { type Line, startTool } from './tool.js'
import { compile, differences, type Result, Run } from './workload.js'

const reason = whyUnprivileged()
const cases = reason === undefined ? compile() : []
/** Only this case, for whoever looks into it. */
const only = process.env.CASE
/** The backend that is tested; the one that is chosen if not told otherwise. */
const backend = process.env.TCPTOP_BACKEND ?? 'auto'
const wanted = cases.filter(({ name }) => only === undefined || name === only)

function report(name: string, { truth, skipped }: Result, lines: readonly Line[]): void {
  if (skipped !== undefined) return unless(skipped, name, () => {})() as void
  assert.ok(truth.length > 0, `${name} told no truth`)
  const found = differences(truth, lines)
  assert.is(found.length, 0, `${name}:\n${found.join('\n')}`)
}

/**
 * Lets the tool watch while `body` runs the cases; returns what it said. Those whose sockets exist before the tool are started before
 * it, all others when `body` comes to them. Nothing may be lost.
 */
async function watch(body: (runs: () => Iterable<Run>) => Promise<void>): Promise<readonly Line[]> {
  const early = wanted.filter(({ before }) => before).map(({ name }) => new Run(name))
  await Promise.all(early.map(run => run.ready()))
  const tool = await startTool(['--backend', backend])
  try {
    await body(function* () {
      yield* early
      for (const { name, before } of wanted) if (!before) yield new Run(name)
    })
    await tool.next()
  } finally {
    assert.is(await tool.stop(), 0, tool.stderr)
  }
  for (const { lost } of tool.lines) assert.is(lost.events, 0, 'something was lost')
  return tool.lines
}

if (reason !== undefined) {
  test('every case is exact', unless(reason, 'every case is exact', () => {}))
} else {
  const alone = new Map<string, Result | Error>()
  let lines: readonly Line[] = []

  // One tool watches them one after the other: each has processes of its own, so its bytes can be told from others'.
  test.before(async () => {
    lines = await watch(async runs => {
      for (const run of runs()) alone.set(run.name, await run.finish().catch((error: Error) => error))
    })
  })

  for (const { name } of wanted) {
    test(`${name} is exact`, () => {
      const result = alone.get(name)
      if (result === undefined || result instanceof Error) throw result ?? new Error('it was not run')
      report(name, result, lines)
    })
  }

  test('all cases at once are exact', async () => {
    const found: string[] = []
    let results: { name: string; result: Result }[] = []
    const lines = await watch(async runs => {
      results = await Promise.all([...runs()].map(async run => ({ name: run.name, result: await run.finish() })))
    })
    for (const { name, result } of results) found.push(...differences(result.truth, lines).map(difference => `${name}: ${difference}`))
    assert.is(found.length, 0, found.join('\n'))
  })
}

test.run()
