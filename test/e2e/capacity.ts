import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { test as uvu } from 'uvu'
import * as assert from 'uvu/assert'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'
import { type Line, startTool } from './tool.js'
import { compile, Run } from './workload.js'

const { reason, cgroup, cgroups } = standAlone()
if (reason === undefined) compile()
const test = (title: string, run: () => Promise<void>) => uvu(title, unless(reason, title, run))

const sum = <T>(values: readonly T[], of: (value: T) => number) => values.reduce((total, value) => total + of(value), 0)
const lostIn = (lines: readonly Line[]) => ({ rx: sum(lines, ({ lost }) => lost.rx), tx: sum(lines, ({ lost }) => lost.tx) })

/** Opens connections to itself over IPv4, prints `open`, and sends a byte on each again and again. */
const stranger = (connections: number) => `
  const { createServer, connect } = require('node:net')
  const server = createServer(socket => socket.resume()).listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, async () => {
    const sockets = []
    for (let left = ${connections}; left > 0; left--) {
      const socket = connect(server.address().port, '127.0.0.1')
      await new Promise(resolve => socket.once('connect', resolve))
      sockets.push(socket)
    }
    console.log('open')
    setInterval(() => { for (const socket of sockets) socket.write('x') }, 100)
  })`

/** A process that has many sockets, outside the cgroup of the tests. */
async function withStranger(connections: number, body: () => Promise<void>): Promise<void> {
  const child: ChildProcess = spawn(process.execPath, ['-e', stranger(connections)], { stdio: ['ignore', 'pipe', 'inherit'] })
  writeFileSync(join(cgroups, 'cgroup.procs'), String(child.pid))
  try {
    await once(child.stdout!, 'data')
    await body()
  } finally {
    child.kill('SIGKILL')
    await once(child, 'close')
  }
}

/** Connections of this process with itself. */
async function connections(count: number): Promise<{ readonly server: Server; readonly pairs: readonly (readonly [Socket, Socket])[] }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const pairs: [Socket, Socket][] = []
  for (let left = count; left > 0; left--) {
    const accepted = once(server, 'connection') as Promise<[Socket]>
    const client = connect((server.address() as { port: number }).port, '127.0.0.1')
    pairs.push([client, (await accepted)[0]])
  }
  return { server, pairs }
}

/** Bytes go both ways; returns how many on each. */
async function exchange(pairs: readonly (readonly [Socket, Socket])[]): Promise<number> {
  const bytes = 1000
  for (const [one, other] of pairs) {
    for (const [from, to] of [[one, other], [other, one]] as const) {
      to.once('data', () => {})
      from.write(Buffer.alloc(bytes))
      const before = to.bytesRead
      while (to.bytesRead < before + bytes) await once(to, 'data')
    }
  }
  return bytes
}

for (const [name, args] of [['-p', ['-p', String(process.pid)]], ['-c', ['-c', cgroup]]] as const) {
  for (const when of ['before', 'after'] as const) {
    test(`with ${name} and a small map, sockets of strangers that are opened ${when} the start take no capacity`, async () => {
      let lines: readonly Line[] = []
      let moved = 0
      const start = async (body: () => Promise<void>) => {
        const tool = await startTool([...args, '--max-flows', '200'], 0.2)
        try {
          await body()
          await tool.next()
          await tool.next()
        } finally {
          assert.is(await tool.stop(), 0, tool.stderr)
        }
        lines = tool.lines
      }
      const act = async () => {
        const { server, pairs } = await connections(20)
        moved = 2 * pairs.length * await exchange(pairs)
        for (const [one, other] of pairs) for (const socket of [one, other]) socket.destroy()
        server.close()
      }
      if (when === 'before') await withStranger(1500, () => start(act))
      else await start(() => withStranger(1500, act))
      const rows = lines.flatMap(({ rows }) => rows)
      assert.equal([...new Set(rows.map(({ pid }) => pid))], [process.pid])
      assert.is(sum(rows, ({ tx }) => tx), moved)
      assert.is(sum(rows, ({ rx }) => rx), moved)
      assert.equal(lostIn(lines), { rx: 0, tx: 0 })
    })
  }
}

for (const flows of [1, 64]) {
  for (const name of [
    'send-after-peer-closed', 'send-after-reset', 'reconnected-socket', 'half-close', 'unread-at-close', 'fast-open', 'mptcp', 'passed-over-unix-socket',
  ]) {
    test(`with space for ${flows} flows, the rows of ${name} and what is lost are the truth`, async () => {
      // The one flow is another's.
      const { server, pairs } = await connections(flows)
      const tool = await startTool(['-c', cgroup, '--max-flows', String(flows)], 0.1)
      try {
        await exchange(pairs)
        await tool.next()
        const { lines: { length: before } } = tool
        const { truth, skipped } = await new Run(name).finish()
        if (skipped !== undefined) return
        await tool.next()
        await tool.next()
        const lines = tool.lines.slice(before)
        const rows = lines.flatMap(({ rows }) => rows).filter(({ pid }) => pid !== process.pid)
        const lost = lostIn(lines)
        assert.ok(truth.length > 0)
        assert.ok(lost.rx + lost.tx > 0, 'the map is full')
        assert.is(sum(rows, ({ tx }) => tx) + lost.tx, sum(truth, ({ tx }) => tx), 'tx')
        assert.is(sum(rows, ({ rx }) => rx) + lost.rx, sum(truth, ({ rx }) => rx), 'rx')
      } finally {
        assert.is(await tool.stop(), 0, tool.stderr)
        for (const [one, other] of pairs) for (const socket of [one, other]) socket.destroy()
        server.close()
      }
    })
  }
}

test('no connection that is open while the tool attaches is charged to the kernel', async () => {
  let [starts, seen] = [0, 0]
  while (starts < 16) {
    const clients = [1, 2].map(() => new Run('short-connections', ['2']))
    let busy = true
    const ended = Promise.all(clients.map(client => client.finish())).finally(() => (busy = false))
    const lines: Line[] = []
    while (busy) {
      const tool = await startTool([], 0.1)
      assert.is(await tool.stop(), 0, tool.stderr)
      lines.push(...tool.lines)
      starts++
    }
    const truth = (await ended).flatMap(({ truth }) => truth)
    const pids = new Set(truth.map(({ pid }) => pid))
    const ports = new Set(truth.map(({ lport, rport }) => `${lport} ${rport}`))
    const rows = lines.flatMap(({ rows }) => rows).filter(({ lport, rport }) => ports.has(`${lport} ${rport}`))
    // On a busy machine some clients have ended before the tool is attached.
    seen += rows.length
    assert.equal(rows.filter(({ pid }) => !pids.has(pid)).slice(0, 5), [])
  }
  assert.ok(seen > 0)
})

uvu.run()
