import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { test as uvu } from 'uvu'
import * as assert from 'uvu/assert'
import { unless, whyUnprivileged } from '../kit/privilege.js'
import { patience, run } from './outcome.js'
import { cli } from './tool.js'

const test = (title: string, body: () => Promise<void>) => uvu(title, unless(whyUnprivileged(), title, body))
/** What users start. */
const bundle = fileURLToPath(new URL('../../bin/tcptop.js', import.meta.url))

/** The tool with rows to print, and its output unread but for the first line; killed when `body` is done. */
async function running(body: (pid: number, ended: () => number | null) => Promise<void>, env: NodeJS.ProcessEnv = {}): Promise<void> {
  const child = spawn(process.execPath, [bundle, '-f', 'json', '0.1'], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env } })
  try {
    await once(child.stdout, 'data')
    await body(child.pid!, () => child.exitCode)
  } finally {
    child.kill('SIGKILL')
  }
}

/** Local addresses at which a process listens. */
function listening(pid: number): string[] {
  const links = readdirSync(`/proc/${pid}/fd`).flatMap(fd => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
    } catch {
      return []
    }
  })
  const sockets = ['tcp', 'tcp6'].flatMap(kind => readFileSync(`/proc/${pid}/net/${kind}`, 'utf8').trim().split('\n').slice(1))
  return sockets.map(line => line.trim().split(/\s+/)).flatMap(([, local = '', , state, , , , , , inode]) =>
    state === '0A' && links.includes(`socket:[${inode}]`) ? [local] : [])
}

test('SIGUSR1 neither ends it nor opens a debugger, and no option of Node.js keeps one open', async () => {
  for (const env of [{}, { NODE_OPTIONS: '--inspect=127.0.0.1:0' }]) {
    await running(async (pid, ended) => {
      for (let time = 0; time < 3; time++) {
        process.kill(pid, 'SIGUSR1')
        await sleep(100)
      }
      await sleep(500)
      assert.is(ended(), null)
      assert.equal(listening(pid), [])
    }, env)
  }
})

test('SIGUSR1 opens no debugger while it starts', async () => {
  // Before Node.js itself has a handler the signal ends the process, and in what follows it is Node.js' own.
  for (const wait of [60, 80, 100, 150, 200, 300]) {
    const child = spawn(process.execPath, [bundle, '-f', 'json', '0.1'], { stdio: ['ignore', 'pipe', 'ignore'] })
    try {
      await sleep(wait)
      child.kill('SIGUSR1')
      await once(child.stdout, 'data')
      // On a busy host Node.js may look at the signal late; what it opened then is closed soon.
      await sleep(1200)
      for (let left = 10; left > 0 && listening(child.pid!).length > 0; left--) await sleep(300)
      assert.equal(listening(child.pid!), [], `after ${wait} ms`)
    } finally {
      child.kill('SIGKILL')
    }
  }
})

test('once attached, every thread is without capabilities', async () => {
  await running(async pid => {
    const threads = readdirSync(`/proc/${pid}/task`)
    assert.ok(threads.length > 1)
    for (const thread of threads) {
      const [, effective] = /^CapEff:\s*(\w+)$/m.exec(readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8'))!
      assert.is(BigInt(`0x${effective}`), 0n, `thread ${thread}`)
    }
  })
})

/**
 * Runs the tool with its output where nobody reads it, sends it signals once it has given up its capabilities, which is the last thing before it
 * writes, and prints what came of it: its status and the seconds since the last of them. Arguments: the place, names of signals, the command.
 */
const nobodyReads = `
import os, pty, re, signal, subprocess, sys, time
place, names, command = sys.argv[1], sys.argv[2].split(','), sys.argv[3:]
reader, writer = pty.openpty() if place == 'pty' else os.pipe()
os.set_blocking(writer, False)
try:
    while True: os.write(writer, b'x' * 100)
except BlockingIOError: pass
os.set_blocking(writer, True)
child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer if place == 'pty' else None, start_new_session=True)
while not re.search(r'^CapPrm:\\s*0+$', open(f'/proc/{child.pid}/status').read(), re.M):
    if child.poll() is not None: sys.exit('it has ended before')
    time.sleep(0.02)
time.sleep(0.5)
for index, name in enumerate(names):
    if index > 0: time.sleep(0.1)
    begin = time.monotonic()
    child.send_signal(getattr(signal, name))
try: print(child.wait(10), time.monotonic() - begin)
except subprocess.TimeoutExpired:
    child.kill()
    print('alive', 10)
`

for (const place of ['pty', 'pipe'] as const) {
  for (const [names, most] of [
    ['SIGINT', 1], ['SIGTERM', 1], ['SIGHUP', 1], ['SIGTERM,SIGTERM', 0.3], ['SIGINT,SIGHUP', 0.3],
  ] as const) {
    test(`${names} ends it in time, with status 0, when no process reads its ${place}`, async () => {
      let best = Infinity
      // On a machine that has other things to do it may come to it later.
      for (let tries = 0; tries < 3 && best >= most; tries++) {
        const { status, out, err } = await run('python3', ['-c', nobodyReads, place, names, process.execPath, cli, '-C', '0.1'])
        assert.is(status, 0, err)
        const [code, seconds] = out.trim().split(' ')
        assert.is(code, '0')
        best = Math.min(best, Number(seconds))
      }
      assert.ok(best < most * patience / 30_000, `after ${best} s`)
    })
  }
}

uvu.run()
