import * as assert from 'uvu/assert'
import { startTool } from './tool.js'
import { compile, differences, Run } from './workload.js'

/** Cases of new connections, and of some older than the tool: exact with every backend, on every kernel. */
const names = ['vectored-calls', 'ipv6', 'existing-connections']

/** Sees that the tool, at the end of a command that becomes it, counts to the byte what other processes move. */
export async function countsExactly(args: readonly string[], command: readonly string[] = [], script?: string): Promise<void> {
  const cases = compile().filter(({ name }) => names.includes(name))
  assert.is(cases.length, names.length)
  const early = cases.filter(({ before }) => before).map(({ name }) => new Run(name))
  await Promise.all(early.map(run => run.ready()))
  const watching = startTool(args, 1, command, script)
  // However the tool begins, those that wait are let go on.
  await watching.catch(() => {})
  const runs = [...early, ...cases.filter(({ before }) => !before).map(({ name }) => new Run(name))]
  const results = await Promise.all(runs.map(run => run.finish()))
  const tool = await watching
  try {
    await tool.next()
  } finally {
    assert.is(await tool.stop(), 0, tool.stderr)
  }
  const truth = results.flatMap(({ truth }) => truth)
  assert.ok(truth.length >= names.length)
  assert.equal(differences(truth, tool.lines), [])
}
