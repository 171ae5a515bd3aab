import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { test as uvu } from 'uvu'
import * as assert from 'uvu/assert'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'
import { type Net, Peer } from './peer.js'
import { cli } from './tool.js'

const reason = standAlone().reason ?? whyNoScript()
const test = (title: string, run: () => Promise<void>) => uvu(title, unless(reason, title, run))

/** util-linux's `script` makes the pseudo-terminals; that of other systems knows other options. */
function whyNoScript(): string | undefined {
  try {
    const version = execFileSync('script', ['--version'], { encoding: 'utf8' })
    return version.includes('util-linux') ? undefined : 'script is not that of util-linux'
  } catch {
    return 'there is no script(1)'
  }
}

const escape = '\x1b'
/** What begins the live screen: the alternate screen of the terminal. */
const alternate = '\x1b[?1049h'
const firstLine = 'Tracing... Output every '
/** Seconds after which a test waits in vain. */
const patience = 30

/** The tool in a terminal of its own. */
class Terminal {
  readonly #script: ChildProcess
  readonly #ended: Promise<unknown>
  #output = ''

  constructor(args: readonly string[], readonly rows: number, readonly columns: number) {
    const command = `tty; echo $$; stty rows ${rows} cols ${columns}; exec '${process.execPath}' '${cli}' ${args.join(' ')}`
    this.#script = spawn('script', ['-qec', command, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, SHELL: '/bin/sh', TERM: 'xterm' },
    })
    this.#script.stdout?.on('data', data => (this.#output += data))
    this.#ended = once(this.#script, 'close')
  }

  /** Everything the tool has printed, in the terminal's own bytes but for line ends. */
  get text(): string {
    return this.#output.replaceAll('\r\n', '\n').replace(/^.*\n.*\n/, '')
  }

  get pid(): number {
    return Number(this.#output.split('\r\n')[1])
  }

  async until(condition: (terminal: this) => boolean): Promise<void> {
    for (const end = Date.now() + patience * 1000; !condition(this); await sleep(20)) {
      if (Date.now() > end || this.#script.exitCode !== null) throw new Error(`in vain: ${JSON.stringify(this.text.slice(-2000))}`)
    }
  }

  /** Attached, for it has printed its first line. */
  started(): Promise<void> {
    return this.until(({ text }) => text.includes(firstLine))
  }

  /** Presses Ctrl-C and resolves with the status. */
  async interrupt(): Promise<number | null> {
    this.#script.stdin?.write('\x03')
    return this.end()
  }

  async end(): Promise<number | null> {
    await this.#ended
    return this.#script.exitCode
  }

  /** Closes the terminal, as when a connection breaks. */
  async hangUp(): Promise<void> {
    this.#script.kill('SIGKILL')
    await this.#ended
  }
}

/** Rows enough to fill a screen: every update has 36 connections, with two ends each. */
async function withTraffic(body: (peers: readonly Peer[]) => Promise<void>): Promise<void> {
  const peers = await Promise.all(Array.from({ length: 3 }, () => Peer.start()))
  const move = async (peer: Peer) => {
    for (const net of ['ipv4', 'ipv6', 'mapped'] satisfies Net[]) {
      for (const other of peers) await peer.move(1000, net, other)
    }
  }
  let over = false
  const traffic = async (peer: Peer) => {
    while (!over) {
      await move(peer)
      await sleep(10)
    }
  }
  const running = peers.map(traffic)
  try {
    await body(peers)
  } finally {
    over = true
    await Promise.all(running)
    await Promise.all(peers.map(peer => peer.stop()))
  }
}

/** The process's rows in the output of tables. */
const rowsOf = ({ pid }: Peer, text: string) => text.split('\n').filter(line => line.startsWith(`${pid} `))

test('with -C a terminal is not cleared: an empty line is before each update, which has all rows', async () => {
  await withTraffic(async ([peer]) => {
    const terminal = new Terminal(['-C', '-p', `${peer!.pid}`, '0.5', '4'], 6, 120)
    assert.is(await terminal.end(), 0)
    assert.not.ok(terminal.text.includes(escape))
    const [start, ...frames] = terminal.text.split(/\n\n(?=\d\d:\d\d:\d\d loadavg)/)
    assert.is(start, `${firstLine}0.5 secs. Hit Ctrl-C to end`)
    assert.is(frames.length, 4)
    // 9 connections to and 9 from this process, of which 3 have both ends here.
    assert.is(Math.max(...frames.map(frame => rowsOf(peer!, frame).length)), 18)
  })
})

test('JSON and CSV are the same in a terminal as elsewhere', async () => {
  await withTraffic(async ([peer]) => {
    const terminal = new Terminal(['-f', 'json', '-p', `${peer!.pid}`, '0.5', '4'], 6, 80)
    assert.is(await terminal.end(), 0)
    const lines = terminal.text.trimEnd().split('\n').map(line => JSON.parse(line) as { readonly rows: readonly unknown[] })
    assert.is(Math.max(...lines.map(({ rows }) => rows.length)), 18)
    const csv = new Terminal(['-f', 'csv', '-p', `${peer!.pid}`, '0.5', '1'], 6, 80)
    assert.is(await csv.end(), 0)
    assert.not.ok(csv.text.includes(escape))
    assert.match(csv.text, /^time,interval,pid,/)
  })
})

test('into a pipe no escape is written, and all rows are', async () => {
  await withTraffic(async ([peer]) => {
    for (const option of ['-C', '-v']) {
      const args = [cli, option, '-p', `${peer!.pid}`, '0.5', '3']
      const { stdout: text } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, LINES: '5' } })
      assert.not.ok(text.includes(escape))
      const [start, ...frames] = text.split(/\n\n(?=\d\d:\d\d:\d\d loadavg)/)
      assert.is(start, `${firstLine}0.5 secs. Hit Ctrl-C to end`)
      assert.is(frames.length, 3)
      assert.is(Math.max(...frames.map(frame => rowsOf(peer!, frame).length)), 18)
    }
  })
})

test('Ctrl-C prints the interval so far and ends well', async () => {
  const peer = await Peer.start()
  try {
    const terminal = new Terminal(['-C', '60', '-p', `${peer.pid}`], 24, 120)
    await terminal.started()
    await peer.move(5000)
    assert.is(await terminal.interrupt(), 0)
    assert.equal(rowsOf(peer, terminal.text).map(row => row.trim().split(/ +/).slice(-2).join(' ')).sort(), ['14 4', '4 14'])
  } finally {
    await peer.stop()
  }
})

test('with -v, what is chosen and why stands on the main screen, above the live one', async () => {
  const terminal = new Terminal(['-v', '0.2', '3'], 24, 120)
  assert.is(await terminal.end(), 0)
  const [before = '', screen = ''] = terminal.text.split(alternate)
  const notes = before.trim().split('\n')
  assert.ok(notes.length > 3 && notes.some(line => /^gave up all capabilities/.test(line)), before)
  assert.not.ok(screen.includes(notes[0]!))
})

test('the tool ends when its terminal is closed', async () => {
  const terminal = new Terminal(['0.2'], 24, 120)
  await terminal.until(({ text }) => text.includes(alternate))
  const { pid } = terminal
  assert.ok(existsSync(`/proc/${pid}`))
  await terminal.hangUp()
  for (const end = Date.now() + patience * 1000; existsSync(`/proc/${pid}`) && Date.now() < end;) await sleep(20)
  assert.not.ok(existsSync(`/proc/${pid}`))
})

uvu.run()
