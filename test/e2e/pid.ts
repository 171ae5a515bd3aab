import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { test as uvu } from 'uvu'
import * as assert from 'uvu/assert'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'
import { Peer } from './peer.js'
import { startTool } from './tool.js'
import { differences } from './workload.js'

const { reason } = standAlone()
const test = (title: string, run: () => Promise<void>) => uvu(title, unless(reason, title, run))

/** The only child of a process, by the host's number. */
const childOf = (pid: number | undefined) => Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'))

/** Runs the tool in the pid namespace of `inside`, while it and `outside` move bytes on connections that are there and on new ones. */
async function watch(args: readonly string[], inside: Peer, outside: Peer) {
  await inside.move(100)
  await inside.truth()
  await outside.truth()
  const tool = await startTool(args, 0.2, ['nsenter', '-t', `${childOf(inside.pid)}`, '-p', '-m'])
  const ended = once(tool.process, 'close')
  await inside.move(2000)
  await inside.move(3000, 'ipv6', outside)
  await outside.move(4000)
  const truth = { inside: await inside.truth(), outside: await outside.truth() }
  // `nsenter` stays between us and the tool, and ends as it does.
  process.kill(childOf(tool.process.pid), 'SIGINT')
  const [status] = await ended
  assert.is(status, 0, tool.stderr)
  return { tool, truth, rows: tool.lines.flatMap(({ rows }) => rows) }
}

async function withPeers(body: (inside: Peer, outside: Peer) => Promise<void>): Promise<void> {
  const [inside, outside] = await Promise.all([Peer.start('unshare', '-p', '-f', '--mount-proc'), Peer.start()])
  try {
    await body(inside, outside)
  } finally {
    await Promise.all([inside.stop(), outside.stop()])
  }
}

test('in a pid namespace, a process has the pid it has there, and hostPid is the host’s', () => withPeers(async (inside, outside) => {
  const { truth, rows, tool } = await watch([], inside, outside)
  assert.ok(truth.inside.length > 0 && truth.inside.every(({ pid }) => pid === 1))
  assert.equal(differences(truth.inside, tool.lines), [])
  assert.equal(new Set(rows.filter(({ pid }) => pid === 1).map(({ hostPid }) => hostPid)), new Set([childOf(inside.pid)]))
  const others = rows.filter(({ hostPid }) => hostPid === outside.pid)
  assert.ok(others.length > 0)
  assert.ok(others.every(row => !('pid' in row)), 'a process that is not there has no pid there')
}))

test('in a pid namespace, -p takes the pid that a process has there', () => withPeers(async (inside, outside) => {
  const { truth, rows, tool } = await watch(['-p', '1'], inside, outside)
  assert.equal(differences(truth.inside, tool.lines), [])
  assert.ok(rows.length > 0 && rows.every(({ pid, hostPid }) => pid === 1 && hostPid === childOf(inside.pid)))
  const none = await watch(['-p', `${outside.pid}`], inside, outside)
  assert.equal(none.rows, [])
}))

uvu.run()
