import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { release } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { test as uvu } from 'uvu'
import * as assert from 'uvu/assert'
import { type ClosedConnection, startAccounting } from '../../src/library.js'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'
import { exceptionFor, wayOf } from './exception.js'
import { compile, differences, type Result, Run } from './workload.js'

const toolPath = fileURLToPath(new URL('../../tools/tracer/tcplife.js', import.meta.url))
const { reason } = standAlone()
const test = (title: string, run: () => Promise<void>) => uvu(title, unless(reason, title, run))

type Rows = Parameters<typeof differences>[1]

/** As `differences` takes rows: what the kernel moved is of process 0 there. */
function linesOf(closed: readonly ClosedConnection[]): Rows {
  const rows = closed.filter(({ tx, rx }) => tx + rx > 0).map(({ pid, ...rest }) => ({ ...rest, pid: pid ?? 0 }))
  return [{ rows }] as unknown as Rows
}

test('reported closed connections are exact in every case', async () => {
  const cases = compile()
  const early = cases.filter(({ before }) => before).map(({ name }) => new Run(name))
  await Promise.all(early.map(run => run.ready()))
  const accounting = startAccounting()
  const closed: ClosedConnection[] = []
  const look = setInterval(() => closed.push(...accounting.closed()), 200)
  try {
    const late = cases.filter(({ before }) => !before).map(({ name }) => new Run(name))
    const results = await Promise.all([...early, ...late].map(async run => [run.name, await run.finish()] as const))
    const way = wayOf(accounting.backend, release(), true)
    const judged = results.filter(([name, { skipped }]) => skipped === undefined && exceptionFor(name, release(), way, null) === undefined)
    assert.ok(judged.length > cases.length / 2, `${judged.length} of ${cases.length} cases`)
    const wrong = () => judged.flatMap(([name, { truth }]: readonly [string, Result]) => differences(truth, linesOf(closed)).map(text => `${name}: ${text}`))
    // The kernel closes some only when their last packets have arrived.
    for (let turn = 0; turn < 40 && wrong().length > 0; turn++) await sleep(500)
    assert.equal(wrong(), [])
    const ours = new Set(early.flatMap(({ name }) => results.find(([other]) => other === name)![1].truth.map(({ pid }) => pid)))
    assert.ok(closed.some(({ pid, duration }) => ours.has(pid ?? 0) && duration === null), 'of some that are older no duration is known')
  } finally {
    clearInterval(look)
    accounting.close()
  }
})

/** Starts tcplife, and returns what it has written so far. */
function start(...args: string[]): { readonly child: ChildProcess; readonly text: () => string } {
  const child = spawn(process.execPath, [toolPath, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout!.on('data', data => (text += data))
  return { child, text: () => text }
}

async function stop(child: ChildProcess): Promise<void> {
  const closed = once(child, 'close')
  child.kill('SIGINT')
  assert.equal(await closed, [0, null])
}

/** A connection of this process that was there. */
interface Held {
  readonly port: number
  readonly lport: number
  /** Milliseconds for which both ends were there at least, and either one at most. */
  readonly least: number
  readonly most: number
}

/** Holds a connection for `seconds`, over which `bytes` go. On a slow machine the calls around it take their time, so bounds are all that is known. */
async function hold(bytes: number, seconds: number): Promise<Held> {
  const server = createServer({ allowHalfOpen: false }, socket => socket.resume()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const called = performance.now()
  const socket = connect(port, '127.0.0.1').resume()
  await Promise.all([once(socket, 'connect'), once(server, 'connection')])
  const [opened, lport] = [performance.now(), socket.localPort ?? 0]
  if (bytes > 0) socket.write(Buffer.alloc(bytes))
  await sleep(seconds * 1000)
  const least = performance.now() - opened
  socket.destroySoon()
  await once(socket, 'close')
  server.close()
  await once(server, 'close')
  return { port, lport, least, most: performance.now() - called }
}

test('tcplife shows each end of a closed connection, its bytes, and how long it lasted', async () => {
  const { child, text } = start('-p', String(process.pid))
  while (!text().includes('\n')) await sleep(50)
  const { port, lport, least, most } = await hold(123_456, 1)
  await sleep(300)
  await stop(child)
  const [head = '', ...lines] = text().trimEnd().split('\n').map(line => line.trim().split(/ +/))
  assert.equal(head, ['PID', 'COMM', 'LADDR', 'LPORT', 'RADDR', 'RPORT', 'TX', 'RX', 'MS'])
  const ends = lines.filter(line => line.includes(String(port)))
  assert.equal(ends.map(line => [line[0], ...line.slice(2, 8)].join(' ')).sort(), [
    `${process.pid} 127.0.0.1 ${lport} 127.0.0.1 ${port} 123456 0`,
    `${process.pid} 127.0.0.1 ${port} 127.0.0.1 ${lport} 0 123456`,
  ].sort())
  for (const line of ends) {
    const ms = Number(line[8])
    // Both clocks are CLOCK_MONOTONIC; what is shown is rounded.
    assert.ok(ms >= least - 0.01 && ms <= most + 0.01, `${ms} ms, and it was there for ${least} to ${most}`)
  }
})

test('-k, -t, -L, -D, -4 and -6 choose what tcplife shows, and -f json has it all', async () => {
  const runs = [['-k', '-t'], ['-L', '1'], ['-D', '1'], ['-P', '1'], ['-6'], ['-4', '-f', 'json']].map(args => start('-p', String(process.pid), ...args))
  // Of JSON nothing says when it has begun: there is a connection until one is shown.
  while (!runs.every(({ text }, index) => text().split('\n').length > (index === 0 ? 2 : 1))) {
    await hold(5000, 0)
    await sleep(300)
  }
  const { port, lport } = await hold(5000, 0.1)
  await sleep(300)
  for (const { child } of runs) await stop(child)
  const [table = '', ...others] = runs.map(({ text }) => text())
  assert.match(table, /^TIME +PID .* TX_KB +RX_KB MS\n/)
  assert.match(table, new RegExp(`\n\\d\\d:\\d\\d:\\d\\d .* ${lport} +127\\.0\\.0\\.1 +${port} +4 +0 `))
  for (const text of others.slice(0, 4)) assert.is(text.trimEnd().split('\n').length, 1, text)
  const shown = others.at(-1)!.trimEnd().split('\n').map(line => JSON.parse(line) as Record<string, unknown>)
  const { time, comm, ms, ...rest } = shown.find(line => line.lport === lport)!
  assert.equal(rest, { pid: process.pid, family: 4, laddr: '127.0.0.1', lport, raddr: '127.0.0.1', rport: port, tx: 5000, rx: 0 })
  assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000 && typeof comm === 'string' && Number(ms) >= 90, JSON.stringify({ time, comm, ms }))
})

uvu.run()
