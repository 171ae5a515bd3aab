import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { test as uvu } from 'uvu'
import * as assert from 'uvu/assert'
import { unless, whyUnprivileged } from '../kit/privilege.js'
import { patience, run } from './outcome.js'
import { cli } from './tool.js'

const test = (title: string, body: () => Promise<void>, reason?: string) => uvu(title, unless(whyUnprivileged() ?? reason, title, body))
/** What users start. */
const bundle = fileURLToPath(new URL('../../bin/tcptop.js', import.meta.url))
/** A file system whose only file is written to. */
const fuse = fileURLToPath(new URL('../../../test/fixture/fuse.py', import.meta.url))
const withoutFuse = existsSync('/dev/fuse') ? undefined : 'this machine has no /dev/fuse'

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
 * Runs a tool with its output where nobody takes it, sends it signals when it has come so far that it writes, and prints what came of it: its status
 * and the seconds since the last of them. Arguments: the place, names of signals, the command. tcptop gives up its capabilities just before.
 */
const nobodyReads = `
import os, pty, re, signal, subprocess, sys, tempfile, time
place, names, command = sys.argv[1], sys.argv[2].split(','), sys.argv[3:]
if place == 'fuse':
    folder = tempfile.mkdtemp()
    server = subprocess.Popen(['python3', '${fuse}', folder, 'silent'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == 'ready\\n'
    writer = os.open(folder + '/file', os.O_WRONLY)
else:
    reader, writer = pty.openpty() if place == 'pty' else os.pipe()
    os.set_blocking(writer, False)
    try:
        while True: os.write(writer, b'x' * 100)
    except BlockingIOError: pass
    os.set_blocking(writer, True)
child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writer, stderr=None if place == 'pipe' else writer, start_new_session=True)
if place == 'fuse': assert server.stdout.readline() == 'writes\\n', 'nothing was written'
else:
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
if place == 'fuse':
    # Until then this process could not close its own file either.
    server.stdin.close()
    server.wait()
    os.rmdir(folder)
`

const tcptop = [cli, '-C', '0.1']
/** It prints the head of its table and then waits. */
const tcpretrans = [fileURLToPath(new URL('../../tools/tracer/tcpretrans.js', import.meta.url))]

for (const [place, command] of [['pty', tcptop], ['pipe', tcptop], ['fuse', tcptop], ['fuse', tcpretrans]] as const) {
  for (const [names, most] of [
    ['SIGINT', 1], ['SIGTERM', 1], ['SIGHUP', 1], ['SIGTERM,SIGTERM', 0.3], ['SIGINT,SIGHUP', 0.3],
  ] as const) {
    const title = `${names} ends ${command === tcptop ? 'it' : 'a tool'} in time, with status 0, when no process reads what it writes to a ${place}`
    test(title, async () => {
      let best = Infinity
      // On a machine that has other things to do it may come to it later.
      for (let tries = 0; tries < 3 && best >= most; tries++) {
        const { status, out, err } = await run('python3', ['-c', nobodyReads, place, names, process.execPath, ...command])
        assert.is(status, 0, err)
        const [code, seconds] = out.trim().split(' ')
        assert.is(code, '0')
        best = Math.min(best, Number(seconds))
      }
      assert.ok(best < most * patience / 30_000, `after ${best} s`)
    }, place === 'fuse' ? withoutFuse : undefined)
  }
}

/** Runs the tool with a file of FUSE as its output, and prints what the file system got. Arguments: what that does with it, the command. */
const writesThere = `
import subprocess, sys, tempfile
folder = tempfile.mkdtemp()
server = subprocess.Popen(['python3', '${fuse}', folder, sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
assert server.stdout.readline() == b'ready\\n'
with open(folder + '/file', 'wb') as file: status = subprocess.call(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=file)
sys.stdout.buffer.write(server.communicate()[0])
sys.exit(status)
`

test('a file of FUSE gets all that is written before it ends', async () => {
  const { status, out, err } = await run('python3', ['-c', writesThere, 'keep', process.execPath, cli, '-f', 'json', '0.1', '3'])
  assert.equal([status, err], [0, ''])
  const [first, ...lines] = out.trimEnd().split('\n')
  assert.equal([first, lines.length], ['writes', 3])
  for (const line of lines) assert.is((JSON.parse(line) as { readonly v: number }).v, 1)
}, withoutFuse)

test('an error of a file of FUSE is told in one line, with status 1', async () => {
  const funccount = fileURLToPath(new URL('../../tools/tracer/funccount.js', import.meta.url))
  for (const [name, command] of [['tcptop', [cli, '0.1', '5']], ['funccount', [funccount, '-d', '0.5', 't:sched_process_fork']]] as const) {
    const { status, out, err } = await run('python3', ['-c', writesThere, String(constants.errno.ENOSPC), process.execPath, ...command])
    assert.equal([status, out, err], [1, 'writes\n', `${name}: stdout: write: ENOSPC\n`])
  }
}, withoutFuse)

uvu.run()
