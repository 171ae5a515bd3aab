import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { unless, whyUnprivileged } from '../privilege.js'
import { startTool } from './tool.js'
import { compile, differences, type Result, Run } from './workload.js'

const reason = whyUnprivileged()
const cases = reason === undefined ? compile() : []
/** Only this case, for whoever looks into it. */
const only = process.env.CASE
const wanted = cases.filter(({ name }) => only === undefined || name === only)

function report(name: string, { truth, skipped }: Result, lines: Parameters<typeof differences>[1]): void {
  if (skipped !== undefined) return unless(skipped, name, () => {})() as void
  assert.ok(truth.length > 0, `${name} told no truth`)
  const found = differences(truth, lines)
  assert.is(found.length, 0, `${name}:\n${found.join('\n')}`)
}

if (reason !== undefined) {
  test('every case is exact', unless(reason, 'every case is exact', () => {}))
} else {
  const alone = new Map<string, Result | Error>()
  let lines: Parameters<typeof differences>[1] = []

  // One tool watches them one after the other: each has processes of its own, so its bytes can be told from others'.
  test.before(async () => {
    const early = wanted.filter(({ before }) => before).map(({ name }) => new Run(name))
    await Promise.all(early.map(run => run.ready()))
    const tool = await startTool()
    for (const run of [...early, ...wanted.filter(({ before }) => !before).map(({ name }) => name)]) {
      const started = typeof run === 'string' ? new Run(run) : run
      alone.set(started.name, await started.finish().catch((error: Error) => error))
    }
    await tool.next()
    const status = await tool.stop()
    lines = tool.lines
    assert.is(status, 0, tool.stderr)
    const lost = lines.reduce((sum, line) => sum + line.lost.events, 0)
    assert.is(lost, 0, 'something was lost')
  })

  for (const { name } of wanted) {
    test(`${name} is exact`, () => {
      const result = alone.get(name)
      if (result === undefined || result instanceof Error) throw result ?? new Error('it was not run')
      report(name, result, lines)
    })
  }

  test('all cases at once are exact', async () => {
    const runs = wanted.filter(({ before }) => before).map(({ name }) => new Run(name))
    await Promise.all(runs.map(run => run.ready()))
    const tool = await startTool()
    runs.push(...wanted.filter(({ before }) => !before).map(({ name }) => new Run(name)))
    const results = await Promise.all(runs.map(run => run.finish()))
    await tool.next()
    assert.is(await tool.stop(), 0, tool.stderr)
    const found = results.flatMap(({ truth }, index) => differences(truth, tool.lines).map(difference => `${runs[index]!.name}: ${difference}`))
    assert.is(found.length, 0, found.join('\n'))
    for (const line of tool.lines) assert.is(line.lost.events, 0)
  })
}

test.run()
