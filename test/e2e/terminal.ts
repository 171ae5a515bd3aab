import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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

/** Cursor home, erase the screen. */
const clear = '\x1b[H\x1b[2J'
const escape = '\x1b'
const firstLine = 'Tracing... Output every '
/** Seconds after which a test waits in vain. */
const patience = 30

/** The tool in a terminal of its own. */
class Terminal {
  readonly #script: ChildProcess
  readonly #ended: Promise<unknown>
  #output = ''

  constructor(args: readonly string[], readonly rows: number, readonly columns: number, env: NodeJS.ProcessEnv = {}) {
    const command = `tty; echo $$; stty rows ${rows} cols ${columns}; exec '${process.execPath}' '${cli}' ${args.join(' ')}`
    this.#script = spawn('script', ['-qec', command, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, SHELL: '/bin/sh', ...env },
    })
    this.#script.stdout?.on('data', data => (this.#output += data))
    this.#ended = once(this.#script, 'close')
  }

  /** Everything the tool has printed, in the terminal's own bytes but for line ends. */
  get text(): string {
    return this.#output.replaceAll('\r\n', '\n').replace(/^.*\n.*\n/, '')
  }

  /** What came after each time the screen was cleared; the last one may not be complete. */
  get frames(): string[] {
    return this.text.split(clear).slice(1)
  }

  get pid(): number {
    return Number(this.#output.split('\r\n')[1])
  }

  async until(condition: (terminal: this) => boolean): Promise<void> {
    for (const end = Date.now() + patience * 1000; !condition(this); await sleep(20)) {
      if (Date.now() > end || this.#script.exitCode !== null) throw new Error(`in vain: ${JSON.stringify(this.text.slice(-2000))}`)
    }
  }

  /** Resolves after so many frames from now. */
  async more(frames: number): Promise<void> {
    const wanted = this.frames.length + frames
    await this.until(() => this.frames.length >= wanted)
  }

  /** Attached, for it has printed its first line. */
  started(): Promise<void> {
    return this.until(({ text }) => text.includes(firstLine))
  }

  /** As if the user pulled at the window. */
  resize(rows: number, columns: number): void {
    const [path = ''] = this.#output.split('\r\n')
    execFileSync('stty', ['-F', path, 'rows', `${rows}`, 'cols', `${columns}`])
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

/** Lines of the screen that a frame takes up, with the one on which the cursor stays. */
function height(frame: string, columns: number): number {
  return frame.split('\n').reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns)), 0)
}

/** The process's rows in the output of tables. */
const rowsOf = ({ pid }: Peer, text: string) => text.split('\n').filter(line => line.startsWith(`${pid} `))

test('each update clears the terminal with one escape sequence, and runs no other program for it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-'))
  try {
    writeFileSync(join(folder, 'clear'), `#!/bin/sh\necho > '${folder}/called'\n`, { mode: 0o755 })
    const terminal = new Terminal(['0.2', '4'], 24, 120, { PATH: `${folder}:${process.env.PATH}`, TERM: 'dumb' })
    assert.is(await terminal.end(), 0)
    assert.not.ok(existsSync(join(folder, 'called')))
    const [start, ...frames] = terminal.text.split(clear)
    assert.is(start, `${firstLine}0.2 secs. Hit Ctrl-C to end\n`)
    assert.is(frames.length, 4)
    for (const frame of frames) {
      assert.match(frame, /^\d\d:\d\d:\d\d loadavg: [\d.]+ [\d.]+ [\d.]+ \d+\/\d+ \d+\n\n/)
      assert.not.ok(frame.includes(escape))
      assert.ok(frame.endsWith('\n'))
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('an update is never higher than the terminal, and leaves no line unused that a row could have', async () => {
  await withTraffic(async () => {
    for (const [rows, columns] of [
      [24, 120], [24, 100], [10, 120], [24, 60], [7, 101], [4, 120], [3, 120], [2, 120], [1, 120],
    ] as const) {
      const terminal = new Terminal(['0.2', '6'], rows, columns)
      assert.is(await terminal.end(), 0)
      const heights = terminal.frames.map(frame => height(frame, columns))
      assert.is(heights.length, 6)
      assert.ok(Math.max(...heights) <= rows, `${rows} rows of ${columns} columns: ${heights.join(', ')}`)
      // Lines that are wider than the terminal need two of its rows, of which one may be left.
      if (rows >= 10) assert.ok(Math.max(...heights) >= rows - (columns < 100 ? 1 : 0), heights.join(', '))
    }
  })
})

test('an update fits a terminal that was resized', async () => {
  await withTraffic(async () => {
    const terminal = new Terminal(['0.2'], 30, 120)
    await terminal.more(4)
    for (const [rows, columns] of [[8, 120], [40, 120], [12, 60], [24, 120]] as const) {
      terminal.resize(rows, columns)
      // One that was under way may have the size of before, and the last one may not be complete.
      await terminal.more(2)
      const from = terminal.frames.length - 1
      await terminal.more(4)
      const heights = terminal.frames.slice(from, -1).map(frame => height(frame, columns))
      assert.ok(Math.max(...heights) <= rows, `${rows} rows of ${columns} columns: ${heights.join(', ')}`)
      assert.ok(Math.max(...heights) >= rows - 2, `${rows} rows of ${columns} columns: ${heights.join(', ')}`)
    }
    assert.is(await terminal.interrupt(), 0)
    assert.is(terminal.text.split(firstLine).length, 2, 'the first line once')
  })
})

test('-r limits the rows of each table in a terminal with space for more', async () => {
  await withTraffic(async () => {
    const terminal = new Terminal(['-S', '-r', '2', '0.2', '6'], 50, 120)
    assert.is(await terminal.end(), 0)
    const heights = terminal.frames.map(frame => height(frame, 120))
    // Head and two rows of each, an empty line between them and one for the cursor.
    assert.is(Math.max(...heights), 8)
    assert.ok(terminal.frames.every(frame => !frame.includes('loadavg')))
  })
})

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
    for (const args of [['60'], ['-C', '60']]) {
      const terminal = new Terminal([...args, '-p', `${peer.pid}`], 24, 120)
      await terminal.started()
      await peer.move(5000)
      assert.is(await terminal.interrupt(), 0)
      assert.equal(rowsOf(peer, terminal.text).map(row => row.trim().split(/ +/).slice(-2).join(' ')).sort(), ['14 4', '4 14'])
    }
  } finally {
    await peer.stop()
  }
})

test('with -v, what was printed before the first frame is repeated at the end, where no update clears it', async () => {
  const terminal = new Terminal(['-v', '0.2', '3'], 24, 120)
  assert.is(await terminal.end(), 0)
  const [before = '', ...frames] = terminal.text.split(clear)
  assert.is(frames.length, 3)
  const notes = before.trim().split('\n').filter(line => !line.startsWith(firstLine))
  assert.ok(notes.some(line => /^gave up all capabilities/.test(line)), before)
  assert.ok(notes.length > 3, before)
  assert.ok(frames.at(-1)!.trimEnd().endsWith(notes.join('\n')), terminal.text)
  assert.not.ok(frames[0]!.includes(notes[0]!))
})

test('the tool ends when its terminal is closed', async () => {
  const terminal = new Terminal(['0.2'], 24, 120)
  await terminal.more(2)
  const { pid } = terminal
  assert.ok(existsSync(`/proc/${pid}`))
  await terminal.hangUp()
  for (const end = Date.now() + patience * 1000; existsSync(`/proc/${pid}`) && Date.now() < end;) await sleep(20)
  assert.not.ok(existsSync(`/proc/${pid}`))
})

uvu.run()
