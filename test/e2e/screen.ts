import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test as uvu } from 'uvu'
import * as assert from 'uvu/assert'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'
import { Peer } from './peer.js'
import { Tmux, whyNoTmux } from './tmux.js'
import { cli } from './tool.js'

const reason = standAlone().reason ?? whyNoTmux()

interface Scene {
  readonly tmux: Tmux
  readonly peer: Peer
  /** Starts the tool for the peer's traffic alone, and resolves when the screen is there. */
  watch(...args: readonly string[]): Promise<void>
  /** Moves bytes until the scene ends: `big` a second on one connection, a tenth of that on one over IPv6. */
  busy(big: number): void
}

/** A terminal, and a process whose traffic is known. */
function test(title: string, run: (scene: Scene) => Promise<void>, size?: Tmux['size'], env?: Readonly<Record<string, string>>) {
  uvu(title, unless(reason, title, async () => {
    const tmux = new Tmux(size, env)
    const peer = await Peer.start()
    let isOver = false
    const running: Promise<void>[] = []
    try {
      await run({
        tmux,
        peer,
        watch: async (...args) => {
          tmux.enter(`'${process.execPath}' '${cli}' -p ${peer.pid} ${args.join(' ')}`)
          await tmux.until(text => /^tcptop {2}.* up \d/m.test(text))
        },
        busy: big => void running.push((async () => {
          while (!isOver) {
            await peer.move(Math.ceil(big / 10), 'ipv4')
            await peer.move(Math.ceil(big / 100), 'ipv6')
            await sleep(100)
          }
        })()),
      })
    } finally {
      isOver = true
      await Promise.all(running)
      await peer.stop()
      tmux.close()
    }
  }))
}

/** The rows of the table: what is below its header. */
function rowsOf(lines: readonly string[], pid: number): string[] {
  return lines.filter(line => line.startsWith(`${pid} `))
}

const isTable = (text: string) => /^PID +COMM/m.test(text)

test('rows of real traffic, the largest first, with human rates and whole ports', async ({ tmux, peer, watch, busy }) => {
  busy(1e6)
  await watch('0.5')
  const text = await tmux.until((_, lines) => rowsOf(lines, peer.pid).length === 4)
  const rows = rowsOf(text.split('\n'), peer.pid)
  for (const row of rows) assert.match(row, /(127\.0\.0\.1|\[::1\]):\d+ +(127\.0\.0\.1|\[::1\]):\d+ +[\d.]+ [kM]?B\/s +[\d.]+ [kM]?B\/s/)
  assert.ok(rows[0]!.includes('127.0.0.1') && rows[3]!.includes('[::1]'), text)
  assert.is(tmux.get('alternate_on'), '1')
})

test('q leaves the last frame and the exact sums on the main screen, and the terminal as it was', async ({ tmux, peer, watch }) => {
  const modes = () => {
    tmux.enter('clear; stty -a')
    return tmux.until((text, lines) => text.includes('min = ') && lines.at(-1) === '' && lines.findLast(line => line !== '') === '$')
  }
  const before = await modes()
  tmux.enter('clear')
  const history = tmux.get('history_size')
  await watch('60')
  await peer.move(5000)
  tmux.press('q')
  // 14 bytes ask for them; thrice as many come back.
  const truth = (await peer.truth()).reduce((sum, { rx, tx }) => ({ rx: sum.rx + rx, tx: sum.tx + tx }), { rx: 0, tx: 0 })
  const text = await tmux.until(text => text.includes('bytes received'))
  assert.ok(text.includes(`${truth.rx} bytes received, ${truth.tx} sent, 0 lost`), text)
  assert.is(rowsOf(text.split('\n'), peer.pid).length, 2, text)
  assert.equal(['alternate_on', 'cursor_flag', 'mouse_any_flag'].map(name => tmux.get(name)), ['0', '1', '0'])
  assert.is(tmux.get('history_size'), history)
  assert.is(await modes(), before)
})

test('every way out gives the terminal back: Ctrl-C, signals, two at once', async ({ tmux, peer, watch, busy }) => {
  busy(1e5)
  const ends: readonly (readonly [name: string, end: (pid: string) => void])[] = [
    ['Ctrl-C', () => tmux.press('C-c')],
    ['SIGTERM', pid => process.kill(Number(pid), 'SIGTERM')],
    ['SIGHUP', pid => process.kill(Number(pid), 'SIGHUP')],
    ['SIGTERM twice', pid => execFileSync('kill', ['-TERM', pid, pid])],
  ]
  for (const [name, end] of ends) {
    tmux.enter('clear')
    await watch('0.5')
    await tmux.until(isTable)
    end(execFileSync('pgrep', ['-f', `^${process.execPath} ${cli} -p ${peer.pid}`], { encoding: 'utf8' }).trim())
    await tmux.until((_, lines) => lines.findLast(line => line !== '') === '$')
    assert.equal(['alternate_on', 'cursor_flag', 'mouse_any_flag'].map(flag => tmux.get(flag)), ['0', '1', '0'], name)
    tmux.enter('clear; stty -a | tr -s " ;" "\\n" | grep -xe -\\\\?echo -e -\\\\?icanon -e -\\\\?isig')
    await tmux.until(text => text.includes('isig'))
    assert.not.match(tmux.text, /^-(echo|icanon|isig)$/m, name)
  }
})

test('Ctrl-Z stops the tool as any other, and fg brings the screen back; nothing is lost meanwhile', async ({ tmux, peer, watch }) => {
  await watch('0.5')
  tmux.press('C-z')
  await tmux.until(text => text.includes('Stopped'))
  assert.equal(['alternate_on', 'cursor_flag'].map(name => tmux.get(name)), ['0', '1'])
  await peer.move(5000)
  tmux.enter('fg')
  await tmux.until(text => text.startsWith('tcptop ') && text.includes('total 20 kB'))
  assert.is(tmux.get('alternate_on'), '1')
  tmux.press('q')
  await tmux.until(text => text.includes('bytes received'))
})

test('a pause goes on counting: what moved meanwhile is one exact interval', async ({ tmux, peer, watch }) => {
  await watch('0.2')
  for (const key of ['p', 'Space']) {
    tmux.press(key)
    await tmux.until(text => text.includes('paused'))
    await peer.truth()
    await peer.move(50_000)
    await sleep(1000)
    assert.ok(tmux.text.includes('paused'))
    tmux.press(key)
    await tmux.until(text => !text.includes('paused'))
  }
  tmux.press('q')
  const text = await tmux.until(text => text.includes('bytes received'))
  const truth = 2 * (50_000 + 150_000)
  const [, rx, tx] = /(\d+) bytes received, (\d+) sent/.exec(text) ?? []
  // Each of the two also asks for its bytes, in a few.
  assert.ok(Number(rx) >= truth && Number(rx) < truth + 1000 && rx === tx, text)
})

test('keys sort, reverse, filter, group, fold and freeze', async ({ tmux, peer, watch, busy }) => {
  busy(1e6)
  await watch('0.3')
  await tmux.until((_, lines) => rowsOf(lines, peer.pid).length === 4)
  tmux.press('s')
  await tmux.until(text => text.includes('sort tx') && /TX▾|TXv/.test(text))
  tmux.press('r')
  await tmux.until(text => text.includes('sort tx▴'))
  tmux.press('3')
  await tmux.until(text => text.includes('sort laddr'))
  tmux.press('Right')
  await tmux.until(text => text.includes('sort raddr'))
  tmux.press('4')
  await tmux.until((text, lines) => text.includes('IPv4') && rowsOf(lines, peer.pid).length === 2)
  tmux.press('4')
  await tmux.until((_, lines) => rowsOf(lines, peer.pid).length === 4)
  tmux.press('/')
  tmux.type('::1')
  await tmux.until((_, lines) => rowsOf(lines, peer.pid).length === 2 && lines.at(-1) === '/::1')
  tmux.press('Enter')
  await tmux.until(text => text.includes('filter ::1'))
  tmux.press('Escape')
  await tmux.until((text, lines) => !text.includes('filter') && rowsOf(lines, peer.pid).length === 4)
  tmux.press('o')
  await tmux.until(text => text.includes('order frozen'))
  for (const grouping of ['process', 'comm', 'host', 'port', 'cgroup', 'connection']) {
    tmux.press(grouping === 'host' ? 'Tab' : 'b')
    await tmux.until(text => text.includes(`by ${grouping} `) && !text.includes('frozen'))
  }
  tmux.press('t')
  await tmux.until((_, lines) => rowsOf(lines, peer.pid).length === 1 && lines.filter(line => line.startsWith('  └')).length === 4)
  tmux.press('j', 'Space')
  await tmux.until((_, lines) => lines.every(line => !line.startsWith('  └')))
})

test('units, names, commands, details, help and interval', async ({ tmux, peer, watch, busy }) => {
  busy(1e6)
  await watch('0.3')
  await tmux.until(isTable)
  for (const unit of ['bits a second', 'bytes of this interval', 'bytes since', 'bytes a second']) {
    tmux.press('u')
    await tmux.until(text => text.includes(unit))
  }
  tmux.press('c')
  await tmux.until((_, lines) => rowsOf(lines, peer.pid).some(row => row.includes('/node')))
  for (const names of ['services', 'hosts', 'numbers']) {
    tmux.press('n')
    await tmux.until(text => text.includes(`names: ${names}`))
  }
  tmux.press('j', 'Enter')
  await tmux.until(text => /^process +\d+ /m.test(text) && /^user /m.test(text) && /^command .*node/m.test(text))
  tmux.press('Escape', '?')
  await tmux.until(text => text.includes('Keys') && text.includes('next grouping'))
  tmux.press('Escape', '-')
  await tmux.until(text => text.includes('every 0.5 s') && isTable(text))
  tmux.press('+')
  await tmux.until(text => text.includes('every 0.2 s'))
  tmux.press('R')
  await tmux.until(text => text.includes('reset'))
})

test('a click on a header sorts, the wheel scrolls, a paste goes to the filter alone', async ({ tmux, watch, busy }) => {
  busy(1e5)
  await watch('0.3')
  await tmux.until(isTable)
  const { lines } = tmux
  const row = lines.findIndex(line => line.startsWith('PID'))
  // As the terminal reports a press of the first button, from 1.
  tmux.type(`\x1b[<0;${lines[row]!.indexOf('COMM') + 1};${row + 1}M`)
  await tmux.until(text => text.includes('sort comm'))
  tmux.paste('q')
  tmux.press('/')
  tmux.paste('no such row')
  await tmux.until(text => text.includes('/no such row') && text.includes('Esc clears the filter'))
})

test('w writes the rows of the frame, and never over a file', async ({ tmux, peer, watch, busy }) => {
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-save-'))
  try {
    busy(1e5)
    tmux.enter(`cd ${folder}`)
    await watch('0.5')
    await tmux.until(isTable)
    tmux.press('w')
    await tmux.until(text => text.includes('written to tcptop-'))
    const [file = ''] = readdirSync(folder)
    const { rows } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as { readonly rows: readonly { readonly pid: number }[] }
    assert.ok(rows.length > 0 && rows.every(({ pid }) => pid === peer.pid))
    tmux.press('p', 'w')
    await tmux.until(text => text.includes('written to') || text.includes('cannot write'))
    tmux.press('w')
    await tmux.until(text => text.includes('cannot write tcptop-') && text.includes('EEXIST'))
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a resize is followed at once, and no line ever wraps', async ({ tmux, watch, busy }) => {
  busy(1e6)
  await watch('5')
  await tmux.until(isTable)
  for (const [rows, columns] of [[10, 40], [40, 160], [5, 30], [24, 80]] as const) {
    tmux.resize(rows, columns)
    const isWhole = (lines: readonly string[]) => lines[0]!.startsWith('tcptop') && /^(PID|COMM) /.test(lines[3]!) && lines.at(-1)!.endsWith('? help  q quit')
    await tmux.until((text, lines) => lines.length === rows && (columns < 40 ? text.includes('too small') : isWhole(lines)))
  }
})

test('after count frames it ends as by q', async ({ tmux, watch }) => {
  await watch('0.2', '3')
  await tmux.until((text, lines) => text.includes('bytes received') && lines.findLast(line => line !== '') === '$')
})

test('a name cannot drive the terminal', async ({ tmux, peer, watch }) => {
  await watch('0.3')
  const evil = String.raw`import socket,ctypes,time
ctypes.CDLL(None).prctl(15, b'\x1b[2J\x1b[31mevil', 0, 0, 0)
s=socket.create_server(('127.0.0.1',0)); c=socket.create_connection(s.getsockname()); a,_=s.accept()
for _ in range(30): c.sendall(b'x'*1000); a.recv(1000); time.sleep(.1)`
  tmux.press('q')
  await tmux.until(text => text.includes('bytes received'))
  tmux.enter(`clear; '${process.execPath}' '${cli}' 0.3`)
  const running = import('node:child_process').then(({ execFile }) => new Promise(resolve => execFile('python3', ['-c', evil], resolve)))
  await tmux.until(text => text.includes('?[2J?[31mevil') && text.startsWith('tcptop'))
  await running
  assert.ok(peer.pid > 0)
})

test('where TERM is dumb, frames stand below each other without an escape sequence', async ({ tmux, peer, busy }) => {
  busy(1e5)
  tmux.enter(`TERM=dumb '${process.execPath}' '${cli}' -p ${peer.pid} 0.2 3 | cat -v; TERM=dumb '${process.execPath}' '${cli}' -p ${peer.pid} 0.2 2`)
  await tmux.until((text, lines) => text.split('Tracing...').length === 3 && lines.findLast(line => line !== '') === '$')
  assert.not.match(tmux.text, /\^\[/)
  assert.is(tmux.get('alternate_on'), '0')
}, { rows: 60, columns: 100 })

test('without a keyboard the screen is repainted and Ctrl-C ends it', async ({ tmux, peer, busy }) => {
  busy(1e5)
  tmux.enter(`'${process.execPath}' '${cli}' -p ${peer.pid} 0.3 < /dev/null`)
  await tmux.until(text => isTable(text) && text.includes('Ctrl-C quits'))
  tmux.press('C-c')
  await tmux.until((text, lines) => text.includes('bytes received') && lines.findLast(line => line !== '') === '$')
})

test('where the locale is not UTF-8, ASCII is enough', async ({ tmux, watch, busy }) => {
  busy(1e6)
  await watch('0.3')
  await tmux.until(isTable)
  await tmux.until(text => /[_=+*%#]{3}/.test(text))
  assert.match(tmux.text, /^[\x20-\x7e\n]*$/)
}, { rows: 24, columns: 120 }, { LANG: 'C', LC_ALL: 'C' })

uvu.run()
