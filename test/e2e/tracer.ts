import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmdirSync, rmSync, statSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { test as uvu } from 'uvu'
import * as assert from 'uvu/assert'
import { exit, mov, r0 } from '../../bpf-asm/index.js'
import { programAt, startTracer } from '../../src/trace/index.js'
import { openKernel } from '../../syscall/index.js'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'
import { compile, Run } from './workload.js'

const toolPath = (name: string) => fileURLToPath(new URL(`../../tools/tracer/${name}.js`, import.meta.url))

const { reason, cgroup } = standAlone()
const test = (title: string, run: () => Promise<void>, why = reason) => uvu(title, unless(why, title, run))

/** Starts one of tools/tracer/, lets `act` happen once its first line is there, and returns the others. */
async function trace(name: string, args: readonly string[], act: () => Promise<void>): Promise<{ head: string; lines: string[]; stderr: string }> {
  const child = spawn(process.execPath, [toolPath(name), ...args])
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

const why32 = process.arch !== 'x64' ? 'only x86-64 has these calls' : spawnSync('gcc', ['--version']).error && 'gcc is not here'

test('tcpaccept shows what 32-bit system calls accept, and not what others of them make', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-accept-'))
  try {
    const program = join(folder, 'accept32')
    const source = fileURLToPath(new URL('../../../test/fixture/accept32.c', import.meta.url))
    assert.is(spawnSync('gcc', ['-o', program, source], { stdio: 'inherit' }).status, 0)
    const child = spawn(program, { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(child, 'close')
    const port = Number(String((await once(child.stdout, 'data'))[0]))
    let opened: number[] = []
    const { lines } = await trace('tcpaccept', ['-p', String(child.pid)], async () => {
      for (let turn = 0; turn < 2; turn++) {
        const socket = connect(port, '127.0.0.1').resume()
        await once(socket, 'connect')
        opened = [...opened, socket.localPort ?? 0]
      }
      const [status, signal] = await ended
      if (signal === 'SIGSEGV') console.log('SKIP: this kernel has no 32-bit calls')
      else assert.is(status, 0)
      if (signal === 'SIGSEGV') opened = []
    })
    assert.equal(lines.map(line => cells(line).filter((_, index) => index !== 1).join(' ')), opened.map(lport => `${child.pid} 4 127.0.0.1 ${lport} 127.0.0.1 ${port}`))
  } finally {
    rmSync(folder, { recursive: true })
  }
}, reason ?? why32)

test('columns and filters are bcc’s: the user, the local port, ports, families', async () => {
  const user = String(process.getuid?.())
  let opened: Connection[] = []
  const act = async () => { opened = await open(2) }
  const all = await trace('tcpconnect', ['-U', '-L', '-p', String(process.pid)], act)
  assert.is(all.head, 'UID   PID     COMM         IP SADDR            LPORT DADDR            DPORT')
  const row = ({ ip, laddr, lport, raddr, rport }: Connection) => `${user} ${process.pid} ${process.title} ${ip} ${laddr} ${lport} ${raddr} ${rport}`
  // Where the socket is seen before its port is chosen, that is 0.
  const anyPort = (text: string) => text.split(' ').filter((_, index) => index !== 5).join(' ')
  assert.equal(sorted(all.lines.map(line => anyPort(cells(line).join(' ')))), sorted(opened.map(row).map(anyPort)))
  for (const [option, family] of [['-4', 4], ['-6', 6]] as const) {
    const { lines } = await trace('tcpconnect', [option, '-p', String(process.pid)], act)
    assert.equal(lines.map(line => Number(cells(line)[2])), opened.filter(({ ip }) => ip === family).map(() => family))
  }
  assert.equal((await trace('tcpconnect', ['-P', '1,2', '-p', String(process.pid)], act)).lines, [])
  assert.equal((await trace('tcpaccept', ['-u', '54321', '-p', String(process.pid)], act)).lines, [])
  const server = await listen()
  const { port } = server.address() as { port: number }
  const { lines } = await trace('tcpconnect', ['-P', `1,${port}`, '-p', String(process.pid)], async () => {
    await open(1)
    await once(connect(port, '127.0.0.1').resume(), 'close')
  })
  server.close()
  assert.equal(lines.map(line => cells(line).at(-1)), [String(port)])
})

test('--cgroupmap and --mntnsmap show only processes whose cgroup and mount namespace have their ids in the pinned maps', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-tracer-'))
  const kernel = openKernel()
  const pin = (name: string, id: bigint) => {
    const map = kernel.createMap({ name, type: 'hash', keySize: 8, valueSize: 8, maxEntries: 4 })
    map.update(new Uint8Array(BigUint64Array.of(id).buffer), new Uint8Array(8))
    map.pin(join(folder, name))
    map.close()
    return join(folder, name)
  }
  const inode = (path: string) => statSync(path, { bigint: true }).ino
  execFileSync('mount', ['-t', 'bpf', 'bpf', folder])
  try {
    const [own, other] = [inode(cgroup), inode(join(cgroup, '..'))]
    const mntns = inode('/proc/self/ns/mnt')
    const sets = { own: pin('own', own), other: pin('other', other), mntns: pin('mntns', mntns), noMntns: pin('no_mntns', mntns - 1n) }
    for (const name of ['tcpconnect', 'tcpaccept']) {
      for (const [cgroupmap, mntnsmap, isShown] of [
        [sets.own, undefined, true], [sets.other, undefined, false], [undefined, sets.mntns, true], [undefined, sets.noMntns, false],
        [sets.own, sets.mntns, true], [sets.own, sets.noMntns, false], [sets.other, sets.mntns, false],
      ] as const) {
        const args = [...cgroupmap === undefined ? [] : ['--cgroupmap', cgroupmap], ...mntnsmap === undefined ? [] : ['--mntnsmap', mntnsmap]]
        const { lines } = await trace(name, ['-p', String(process.pid), ...args], async () => void await open(1))
        assert.is(lines.length, isShown ? ways.length : 0, [name, ...args].join(' '))
      }
    }
    const { status, stderr } = await ended('tcpconnect', ['--cgroupmap', join(folder, 'nothing')])
    assert.is(status, 1)
    assert.match(stderr, /^tcpconnect: --cgroupmap .*nothing: .*ENOENT.*\n$/)
  } finally {
    execFileSync('umount', [folder])
    rmdirSync(folder)
  }
})

test('-f json has an object per line, with the time of day', async () => {
  let opened: Connection[] = []
  const before = Date.now()
  const child = spawn(process.execPath, [toolPath('tcpaccept'), '-f', 'json', '-p', String(process.pid)])
  let stdout = ''
  child.stdout.on('data', data => (stdout += data))
  // Nothing says when it has begun: connections are opened until one is shown.
  while (stdout === '') {
    opened = [...opened, ...await open(1)]
    await sleep(200)
  }
  child.kill('SIGINT')
  await once(child, 'close')
  const shown = stdout.trimEnd().split('\n').map(line => JSON.parse(line) as Record<string, unknown>)
  for (const { time, state, ...rest } of shown) {
    assert.ok(opened.some(({ ip, laddr, lport, raddr, rport }) => JSON.stringify(rest) === JSON.stringify({
      pid: process.pid, uid: process.getuid?.(), comm: process.title, family: ip, laddr: raddr, lport: rport, raddr: laddr, rport: lport,
    })), JSON.stringify(rest))
    assert.ok(Date.parse(String(time)) >= before - 1000 && Date.parse(String(time)) <= Date.now() + 1000, String(time))
    assert.type(state, 'number')
  }
})

test('COMM is the name of the process, for any thread that opens the connection', async () => {
  const server = await listen()
  const { port } = server.address() as { port: number }
  const { lines } = await trace('tcpconnect', ['-p', String(process.pid)], async () => {
    const worker = new Worker(`
      const { workerData } = require('node:worker_threads')
      require('node:fs').writeFileSync('/proc/thread-self/comm', 'a_thread')
      require('node:net').connect(workerData, '127.0.0.1').resume()`, { eval: true, workerData: port })
    await once(worker, 'exit')
  })
  server.close()
  assert.equal(lines.map(line => cells(line)[1]), [process.title])
})

test('in a pid namespace processes have its numbers, and -p finds them', async () => {
  const script = `
    const { spawn } = require('node:child_process')
    const { once } = require('node:events')
    const { connect, createServer } = require('node:net')
    const server = createServer(socket => socket.resume().end()).listen(0, '127.0.0.1', async () => {
      const tool = spawn(process.execPath, ['${toolPath('tcpconnect')}', '-p', String(process.pid)])
      let text = ''
      for (const stream of [tool.stdout, tool.stderr]) stream.on('data', data => (text += data))
      while (!text.includes('\\n')) await once(tool.stdout, 'data')
      await once(connect(server.address().port, '127.0.0.1').resume(), 'close')
      const closed = once(tool, 'close')
      tool.kill('SIGINT')
      await closed
      server.close()
      console.log(process.pid + '\\n' + text)
    })`
  const child = spawn('unshare', ['--pid', '--fork', '--mount-proc', process.execPath, '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', data => (output += data))
  assert.is((await once(child, 'close'))[0], 0)
  const [pid = '', , ...lines] = output.trim().split('\n')
  assert.ok(Number(pid) < 100, output)
  assert.equal(lines.map(line => cells(line)[0]), [pid], output)
})

test('tcpretrans shows what is sent again', async () => {
  // Its queue is full: what it drops is sent again after a second.
  const deaf = spawn(process.execPath, ['-e', `
    const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('node:fs').writeSync(1, server.address().port + '\\n')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    })`])
  const port = Number(String((await once(deaf.stdout, 'data'))[0]))
  const sockets: Socket[] = []
  const { head, lines } = await trace('tcpretrans', ['-P', String(port)], async () => {
    for (let left = 6; left > 0; left--) sockets.push(connect(port, '127.0.0.1').on('error', () => undefined))
    await sleep(2500)
  })
  deaf.kill()
  for (const socket of sockets) socket.destroy()
  assert.match(head, /^IP LADDR:LPORT +T> RADDR:RPORT +STATE$/)
  assert.ok(lines.length > 0)
  for (const line of lines) assert.match(line, new RegExp(`^4  127\\.0\\.0\\.1:\\d+ +R> 127\\.0\\.0\\.1:${port} +SYN_SENT$`))
})

test('-t prints the time since the first line', async () => {
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

test('funccount counts calls of tracepoints of a process, and prints only those that were called', async () => {
  const { pid, go } = await forks(7)
  const { head, lines } = await trace('funccount', ['-p', String(pid), 't:sched_process_fo?k*'], go)
  assert.is(head, 'Tracing 1 tracepoints for "t:sched_process_fo?k*"... Hit Ctrl-C to end.')
  const row = (name: string, count: string) => `${name.padEnd(36)} ${count.padStart(8)}`
  // One more for $(seq).
  assert.equal(lines, ['', row('FUNC', 'COUNT'), row('sched_process_fork', '8')])
})

test('funccount prints the counts of each interval, and ends after a duration', async () => {
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

/** What one of the tools prints, and its exit status, when it ends by itself. */
async function ended(name: string, args: readonly string[]): Promise<{ status: unknown; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [toolPath(name), ...args])
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', data => (stdout += data))
  child.stderr.on('data', data => (stderr += data))
  const [status] = await once(child, 'close')
  return { status, stdout, stderr }
}

uvu('every tool has help of at most 80 columns', async () => {
  for (const name of ['funccount', 'tcpconnect', 'tcpaccept', 'tcplife', 'tcpretrans']) {
    for (const option of ['-h', '--help']) {
      const { status, stdout, stderr } = await ended(name, [option])
      assert.equal([status, stderr], [0, ''])
      assert.match(stdout, new RegExp(`^Usage: ${name} \\[OPTIONS\\]`))
      for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line)
    }
  }
})

uvu('a mistake on the command line is told in one line, with status 2', async () => {
  for (const [name, args, said] of [
    ['funccount', [], /^funccount: PATTERN is missing/],
    ['funccount', ['a', 'b'], /^funccount: unexpected argument "b"$/],
    ['funccount', ['-i', 'abc', 'a'], /^funccount: --interval must be a number of seconds .*, got "abc"$/],
    ['funccount', ['-d', '0', 'a'], /^funccount: --duration must be/],
    ['funccount', ['-p', 'x', 'a'], /^funccount: --pid must be a whole number from 1 to 4194304, got "x"$/],
    ['funccount', ['-r', '('], /^funccount: "\(" is no regular expression: Unterminated group$/],
    ['funccount', ['u:libc:malloc'], /^funccount: a pattern is of functions/],
    ['tcpconnect', ['80'], /^tcpconnect: unexpected argument "80"$/],
    ['tcpconnect', ['-P', '80,'], /^tcpconnect: --port must be whole numbers from 1 to 65535/],
    ['tcpconnect', ['-4', '-6'], /^tcpconnect: --ipv4 and --ipv6 exclude each other$/],
    ['tcpaccept', ['-f', 'csv'], /^tcpaccept: --format must be table or json, got "csv"$/],
    ['tcpaccept', ['-f', '\u202e\x1b'], /^tcpaccept: --format must be table or json, got "\\u202e\\u001b"$/],
    ['tcpaccept', ['--no-such'], /^tcpaccept: Unknown option '--no-such'$/],
    ['tcplife', ['-4', '-6'], /^tcplife: --ipv4 and --ipv6 exclude each other$/],
    ['tcplife', ['-L', '0'], /^tcplife: --local-port must be whole numbers from 1 to 65535/],
    ['tcpretrans', ['-p', '1'], /^tcpretrans: Unknown option '-p'$/],
  ] as const) {
    const { status, stdout, stderr } = await ended(name, args)
    assert.equal([status, stdout], [2, ''], stderr)
    assert.match(stderr.trimEnd(), said)
  }
})

test('a write error is reported in one line', async () => {
  const { status, stderr } = spawnSync('sh', ['-c', `exec ${process.execPath} ${toolPath('tcpconnect')} > /dev/full`], { encoding: 'utf8' })
  assert.is(status, 1)
  assert.match(stderr, /^tcpconnect: stdout: .*ENOSPC.*\n$/)
})

test('funccount takes bcc’s forms of tracepoints, and regular expressions', async () => {
  const { pid, go } = await forks(2)
  const { head } = await trace('funccount', ['-r', '-p', String(pid), 't:^sched_process_(fork|exec)$'], go)
  assert.match(head, /^Tracing 2 tracepoints for /)
  const mounted = existsSync('/sys/kernel/tracing/events')
  const { status, stdout, stderr } = await ended('funccount', ['-d', '0.3', 't:sock:inet_sock_set_state'])
  if (mounted) assert.match(stdout, /^Tracing 1 tracepoints/)
  else assert.equal([status, /^funccount: groups of tracepoints are read from tracefs, which is not mounted here/.test(stderr)], [1, true])
})

test('what nothing matches, and what too much does, is refused in one line', async () => {
  for (const [pattern, said] of [['t:no_such_*', '0 tracepoints are'], ['*', /\d{4,} functions are/]] as const) {
    const child = spawn(process.execPath, [toolPath('funccount'), pattern])
    let stderr = ''
    child.stderr.on('data', data => (stderr += data))
    assert.is((await once(child, 'close'))[0], 1)
    assert.match(stderr, said)
    assert.is(stderr.trimEnd().split('\n').length, 1)
  }
})

uvu.run()
