import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import { fileURLToPath } from 'node:url'
import { test as uvu } from 'uvu'
import * as assert from 'uvu/assert'
import { exit, mov, r0 } from '../../bpf-asm/index.js'
import { programAt, startTracer } from '../../src/trace/index.js'
import { openKernel } from '../../syscall/index.js'
import { standAlone } from '../kit/alone.js'
import { unless } from '../privilege.js'
import { compile, Run } from './workload.js'

const { reason } = standAlone()
const test = (title: string, run: () => Promise<void>, why = reason) => uvu(title, unless(why, title, run))

/** Starts one of tools/tracer/, lets `act` happen once its first line is there, and returns the others. */
async function trace(name: string, args: readonly string[], act: () => Promise<void>): Promise<{ head: string; lines: string[]; stderr: string }> {
  const child = spawn(process.execPath, [fileURLToPath(new URL(`../../tools/tracer/${name}.js`, import.meta.url)), ...args])
  let [stdout, stderr] = ['', '']
  child.stderr.on('data', data => (stderr += data))
  const closed = once(child, 'close')
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', data => (stdout += data).includes('\n') && resolve())
    void closed.then(() => reject(new Error(`${name} has ended: ${stderr}`)))
  })
  await act().finally(() => child.kill('SIGINT'))
  const [status] = await closed
  assert.is(status, 0, stderr)
  const [head = '', ...lines] = stdout.trimEnd().split('\n')
  return { head, lines, stderr }
}

/** A connection as this process knows it, seen from the end that opened it. */
interface Connection {
  readonly ip: 4 | 6
  readonly laddr: string
  readonly lport: number
  readonly raddr: string
  readonly rport: number
}

/** From where to where: IPv4 with ends that can be told apart, IPv6, and IPv4 by a socket of IPv6. */
const ways = [['127.0.0.2', '127.0.0.1'], ['::1', '::1'], [undefined, '::ffff:127.0.0.1']] as const

async function listen(): Promise<Server> {
  const server = createServer(socket => socket.resume().end())
  server.listen(0, '::')
  await once(server, 'listening')
  return server
}

/** Opens so many connections on every way at once, which the other end closes as soon as it has them. */
async function open(times: number): Promise<Connection[]> {
  const server = await listen()
  const { port } = server.address() as { port: number }
  const opened = await Promise.all(ways.flatMap(way => Array.from({ length: times }, () => way)).map(async ([from, to]) => {
    const socket = connect({ port, host: to, ...(from === undefined ? {} : { localAddress: from }) }).resume()
    await once(socket, 'connect')
    const lport = socket.localPort ?? 0
    if (!socket.closed) await once(socket, 'close')
    const raddr = to.replace('::ffff:', '')
    return { ip: raddr.includes(':') ? 6 : 4, laddr: from ?? raddr, lport, raddr, rport: port } as const
  }))
  server.close()
  await once(server, 'close')
  return opened
}

const sorted = (lines: readonly string[]) => [...lines].sort()
const cells = (line: string) => line.trim().split(/ +/)
/** As the kernel has it: threads are renamed on their own. */
process.title = `trace${process.pid}`

test('tcpconnect shows every connection that a process opens, also one that is over at once, in bcc’s columns', async () => {
  let opened: Connection[] = []
  const { head, lines, stderr } = await trace('tcpconnect', ['-p', String(process.pid)], async () => { opened = await open(100) })
  assert.is(head, 'PID     COMM         IP SADDR            DADDR            DPORT')
  const wanted = opened.map(({ ip, laddr, raddr, rport }) => `${process.pid} ${process.title} ${ip} ${laddr} ${raddr} ${rport}`)
  assert.equal(sorted(lines.map(line => cells(line).join(' '))), sorted(wanted))
  assert.is(stderr, '')
})

test('tcpaccept shows every connection that a process accepts, also one that is over at once, in bcc’s columns', async () => {
  let opened: Connection[] = []
  const { head, lines, stderr } = await trace('tcpaccept', ['-p', String(process.pid)], async () => { opened = await open(100) })
  assert.is(head, 'PID     COMM         IP RADDR            RPORT LADDR            LPORT')
  const wanted = opened.map(({ ip, laddr, lport, raddr, rport }) => `${process.pid} ${process.title} ${ip} ${laddr} ${lport} ${raddr} ${rport}`)
  assert.equal(sorted(lines.map(line => cells(line).join(' '))), sorted(wanted))
  assert.is(stderr, '')
})

/** Programs of tools/workload that accept one connection, and what they send on that end of it. */
const accepting = [['blocked-accept', 'already waited when it started', 4000], ['mptcp', 'accepts by MPTCP', 600_190]] as const

for (const [name, how, tx] of accepting) {
  test(`tcpaccept shows a connection for which a process ${how}`, async () => {
    const early = compile().find(one => one.name === name)!.before ? new Run(name) : undefined
    await early?.ready()
    let accepted: string[] | undefined
    const { lines } = await trace('tcpaccept', [], async () => {
      const { truth, skipped } = await (early ?? new Run(name)).finish()
      const ends = truth.filter(row => row.tx === tx)
      if (skipped === undefined) accepted = ends.map(({ pid, laddr, lport, raddr, rport }) => `${pid} 4 ${raddr} ${rport} ${laddr} ${lport}`)
    })
    if (accepted === undefined) return console.log(`SKIP ${name}: this kernel cannot run it`)
    assert.is(accepted.length, 1)
    const shown = lines.map(line => cells(line).filter((_, index) => index !== 1).join(' '))
    assert.equal(shown.filter(line => accepted!.includes(line)), accepted)
  })
}

test('-t tells the time since the first, which goes on', async () => {
  for (const name of ['tcpconnect', 'tcpaccept']) {
    const { head, lines } = await trace(name, ['-t', '-p', String(process.pid)], async () => {
      await open(1)
      await open(1)
    })
    assert.match(head, /^TIME\(s\)   PID /)
    const times = lines.map(line => Number(cells(line)[0]))
    assert.is(times.length, 6)
    assert.is(times[0], 0)
    assert.equal(times, [...times].sort((a, b) => a - b))
  }
})

test('a connection of another process is not shown with -p', async () => {
  for (const name of ['tcpconnect', 'tcpaccept']) {
    assert.equal((await trace(name, ['-p', String(process.ppid)], async () => void await open(3))).lines, [])
  }
})

/** A shell that does nothing until it is told to run true so often, and does that with a fork each. */
async function forks(times: number) {
  const shell = spawn('sh', ['-c', `read go; for turn in $(seq ${times}); do /bin/true; done; exit 0`], { stdio: ['pipe', 'ignore', 'ignore'] })
  const closed = once(shell, 'close')
  return { pid: shell.pid!, go: async () => void (shell.stdin.end('\n'), await closed) }
}

test('funccount counts calls of tracepoints of a process, and tells only those that there were', async () => {
  const { pid, go } = await forks(7)
  const { head, lines } = await trace('funccount', ['-p', String(pid), 't:sched_process_fo?k*'], go)
  assert.is(head, 'Tracing 1 tracepoints for "t:sched_process_fo?k*"... Hit Ctrl-C to end.')
  const row = (name: string, count: string) => `${name.padEnd(36)} ${count.padStart(8)}`
  // One more for $(seq).
  assert.equal(lines, ['', row('FUNC', 'COUNT'), row('sched_process_fork', '8')])
})

test('funccount tells of each interval what was in it, and ends after a duration', async () => {
  const { pid, go } = await forks(3)
  const { lines } = await trace('funccount', ['-i', '0.5', '-d', '1.5', '-p', String(pid), 't:sched_process_fork'], go)
  const counts = lines.filter(line => line.startsWith('sched_process_fork')).map(line => Number(cells(line)[1]))
  assert.is(counts.reduce((sum, count) => sum + count, 0), 4)
})

/** Why kprobes cannot be set here, or undefined. */
function whyNoKprobes(): string | undefined {
  try {
    startTracer(openKernel(), { maps: [], programs: [programAt('may_i', { kprobe: 'tcp_v4_connect' }, [mov(r0, 0), exit()])] }).close()
    return undefined
  } catch (error) {
    return `kprobes cannot be set here: ${(error as Error).message}`
  }
}

test('funccount counts calls of functions of a process', async () => {
  const { lines } = await trace('funccount', ['-p', String(process.pid), 'tcp_v?_connect'], async () => void await open(10))
  const counts = new Map(lines.map(line => cells(line) as [string, string]))
  assert.equal([counts.get('tcp_v4_connect'), counts.get('tcp_v6_connect')], ['20', '20'])
}, reason ?? whyNoKprobes())

test('what nothing matches, and what too much does, is refused in one line', async () => {
  for (const [pattern, said] of [['t:no_such_*', '0 tracepoints are'], ['*', /\d{4,} functions are/]] as const) {
    const child = spawn(process.execPath, [fileURLToPath(new URL('../../tools/tracer/funccount.js', import.meta.url)), pattern])
    let stderr = ''
    child.stderr.on('data', data => (stderr += data))
    assert.is((await once(child, 'close'))[0], 1)
    assert.match(stderr, said)
    assert.is(stderr.trimEnd().split('\n').length, 1)
  }
})

uvu.run()
