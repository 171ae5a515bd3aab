import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { constants, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { test as uvu } from 'uvu'
import * as assert from 'uvu/assert'
import { cString } from '../../syscall/attr.js'
import { bpf, type BpfCommand, tryBpf } from '../../syscall/call.js'
import { openKernel } from '../../syscall/index.js'
import { loadNative } from '../../syscall/native.js'
import { object } from '../../syscall/uapi.js'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'
import { asNobody, enough, withoutNobody } from './nobody.js'
import { asArgs, complains, type Outcome, patience, run, tool } from './outcome.js'
import { Peer } from './peer.js'
import { cli, type Line } from './tool.js'

const { reason } = standAlone()
const test = (title: string, run: () => Promise<void>) => uvu(title, unless(reason, title, run))
/** The tool in a shell's script, where it is "$@". */
const inShell = (script: string, ...args: string[]) => run('sh', ['-c', script, 'sh', ...asArgs(...args)])
/** The same in a mount namespace of its own. */
const inNamespace = (script: string, ...args: string[]) =>
  run('unshare', ['-m', 'sh', '-c', `${script} && exec "$@"`, 'sh', ...asArgs(...args)])

const wrong: readonly (readonly [args: readonly string[], option: string, given: string])[] = [
  [['-p', 'x'], '--pid', '"x"'],
  [['-p', '0'], '--pid', '"0"'],
  [['-p', '-5'], '--pid', '"-5"'],
  [['--pid', '1.5'], '--pid', '"1.5"'],
  [['--pid=4194305'], '--pid', '"4194305"'],
  [['-p', '1,,2'], '--pid', '"1,,2"'],
  [['-p', '1', '-p', ''], '--pid', 'nothing'],
  [['-p'], '--pid', 'nothing'],
  [['abc'], 'interval', '"abc"'],
  [['0'], 'interval', '"0"'],
  [['-1'], 'interval', '"-1"'],
  [['0.09'], 'interval', '"0.09"'],
  [['1e3'], 'interval', '"1e3"'],
  [['Infinity'], 'interval', '"Infinity"'],
  [['1', '0'], 'count', '"0"'],
  [['1', '2.5'], 'count', '"2.5"'],
  [['1', '2', '3'], 'interval and count', '"3"'],
  [['-4', '-6'], '--ipv4', 'both'],
  [['--nope'], 'options', '"--nope"'],
  [['-Z'], 'options', '"-Z"'],
  [['-r', '0'], '--rows', '"0"'],
  [['-r', 'many'], '--rows', '"many"'],
  [['-s', 'size'], '--sort', '"size"'],
  [['-f', 'xml'], '--format', '"xml"'],
  [['--by', 'user'], '--by', '"user"'],
  [['--backend', 'magic'], '--backend', '"magic"'],
  [['--max-flows', '0'], '--max-flows', '"0"'],
  [['--max-flows', '1e5'], '--max-flows', '"1e5"'],
  [['--cgroup', ''], '--cgroup', 'nothing'],
  [['--cgroupmap', ''], '--cgroupmap', 'nothing'],
  [['--mntnsmap', ''], '--mntnsmap', 'nothing'],
  [['-p', 'a\nb'], '--pid', '"a\\\\nb"'],
]

for (const [args, option, given] of wrong) {
  uvu(`${JSON.stringify(args.join(' '))} is refused with one line that names the option and what was given`, async () => {
    complains(await tool(...args), 2, new RegExp(`^tcptop: .*${option} .*, got ${given}`))
  })
}

test('--btf refuses a file that is not regular or is too large, without reading it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-'))
  try {
    const [pipe, large, zeros] = ['pipe', 'large', 'zeros'].map(name => join(folder, name)) as [string, string, string]
    assert.is(spawnSync('mkfifo', [pipe]).status, 0)
    // Holes take no room.
    for (const [path, bytes] of [[large, 64 * 2 ** 20 + 1], [zeros, 64 * 2 ** 20]] as const) {
      writeFileSync(path, '')
      truncateSync(path, bytes)
    }
    for (const [path, said] of [
      [pipe, 'no regular file'], ['/dev/zero', 'no regular file'], ['/dev/urandom', 'no regular file'], ['/dev/tty', 'no regular file'],
      [folder, 'no regular file'], ['/dev/stdin', 'no regular file'], [large, '67108865 bytes'], [zeros, 'no BTF'], ['/proc/kmsg', '0 bytes are no BTF'],
    ] as const) {
      for (const args of [['0.1', '1'], ['--dump-bpf']]) {
        const outcome = await Promise.race([tool('--btf', path, ...args), sleep(patience / 3)])
        assert.ok(outcome, `it goes on with ${path}`)
        complains(outcome as Outcome, 2, '--btf must be the path of a BTF file', `"${path}"`, said)
      }
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('--cgroup refuses a path that is not a cgroup v2 directory', async () => {
  const [cgroups = '/'] = /(?<=^\S+ )\S+(?= cgroup2 )/m.exec(readFileSync('/proc/mounts', 'utf8')) ?? []
  for (const path of ['/proc', '/nowhere', '/etc/passwd', join(cgroups, 'nowhere'), join(cgroups, 'cgroup.procs')]) {
    complains(await tool('-c', path, '0.1', '1'), 2, '--cgroup must be a cgroup v2 directory', `"${path}"`)
  }
})

/** Where maps and programs can be pinned, while `body` runs. */
async function withBpffs(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-'))
  assert.is(spawnSync('mount', ['-t', 'bpf', 'bpf', folder]).status, 0)
  try {
    await body(folder)
  } finally {
    spawnSync('umount', [folder])
    rmSync(folder, { recursive: true })
  }
}

test('--cgroupmap and --mntnsmap refuse a path that is not a set of ids', () => withBpffs(async folder => {
  const kernel = openKernel()
  for (const [name, type, keySize] of [
    ['array', 'array', 4], ['narrow', 'hash', 4], ['wide', 'hash', 16], ['ring', 'ringbuf', 0],
  ] as const) {
    const map = kernel.createMap({ name, type, keySize, valueSize: type === 'ringbuf' ? 0 : 8, maxEntries: 4096 })
    map.pin(join(folder, name))
    map.close()
  }
  const exit = Uint8Array.of(0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0)
  const program = kernel.loadProgram({ name: 'pinned', type: 'raw_tracepoint', insns: exit, license: 'GPL' })
  bpf(loadNative(), 'OBJ_PIN', object, { pathname: cString(join(folder, 'program')), bpf_fd: program.fd })
  program.close()
  for (const option of ['--cgroupmap', '--mntnsmap']) {
    for (const [path, what] of [
      [join(folder, 'array'), 'type array'], [join(folder, 'ring'), 'type ringbuf'], [join(folder, 'narrow'), '4 bytes'],
      [join(folder, 'wide'), '16 bytes'], [join(folder, 'program'), 'not a BPF map'], [folder, 'not a BPF map'],
      ['/etc/passwd', 'not a BPF map'], [join(tmpdir(), 'tcptop-nothing'), 'nothing is there'],
      [join(folder, 'no/where'), 'nothing is there'],
    ] as const) {
      complains(await tool(option, path, '0.1', '1'), 2, `${option} must be the path of a pinned BPF hash map`, `"${path}"`, what)
    }
  }
}))

test('a refusal leaves no new set behind', () => withBpffs(async folder => {
  const left = join(folder, 'new')
  for (const more of [['--mntnsmap', '/etc/passwd'], ['--mntnsmap', join(tmpdir(), 'tcptop-nothing')], ['-c', '/proc']]) {
    complains(await tool('--cgroupmap', left, ...more, '0.1', '1'), 2)
    assert.not.ok(existsSync(left), more.join(' '))
  }
  assert.is((await tool('--cgroupmap', left, '0.1', '1')).status, 0)
  assert.ok(existsSync(left))
}))

const testNobody = (title: string, run: () => Promise<void>) => uvu(title, unless(withoutNobody, title, run))

testNobody('help, version, the programs and wrong usage need no privileges', async () => {
  for (const option of ['--help', '--version', '--dump-bpf']) {
    const { status, out, err } = await asNobody([], option)
    assert.is(status, 0, err)
    assert.is(err, '')
    assert.ok(out.endsWith('\n'))
  }
  complains(await asNobody([], '-p', 'x'), 2, '--pid')
})

testNobody('a set that may not be read is a matter of privileges, a file that is not a map is wrong usage', () => withBpffs(async folder => {
  const map = openKernel().createMap({ name: 'secret', type: 'hash', keySize: 8, valueSize: 8, maxEntries: 16 })
  map.pin(join(folder, 'set'))
  map.close()
  // mkdtemp keeps everybody out of the folder, too.
  for (const mode of [0o700, 0o755]) {
    chmodSync(folder, mode)
    complains(await asNobody(enough, '--cgroupmap', join(folder, 'set'), '0.1', '1'), 1, 'EACCES', 'root')
    complains(await asNobody(enough, '--cgroupmap', '/etc/passwd', '0.1', '1'), 2, 'not a BPF map')
  }
}))

const rootOfItself = ['--user', '--map-root-user']
const noUsers = spawnSync('unshare', [...rootOfItself, 'true']).status !== 0
const withoutUsers = reason ?? (noUsers ? 'no user namespace can be made here' : undefined)
const intoUserNamespace = 'root of a user namespace is refused in one line'
uvu(intoUserNamespace, unless(withoutUsers, intoUserNamespace, async () => {
  complains(await run('unshare', [...rootOfItself, ...asArgs('0.1', '1')]), 1, 'EPERM')
}))


const bind = (file: string) => `mount --bind '${file}' /sys/kernel/btf/vmlinux`

test('where the kernel’s BTF is damaged fields are measured, and -v and the doctor say why; or one line does', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-'))
  try {
    const cut = join(folder, 'cut')
    writeFileSync(cut, readFileSync('/sys/kernel/btf/vmlinux').subarray(0, 1_000_000))
    for (const [file, said] of [[cli, 'no BTF'], ['/dev/null', 'no regular file'], ['/dev/zero', 'no regular file'], [cut, 'it is cut off']] as const) {
      const { status, err } = await inNamespace(bind(file), '-v', '0.1', '1')
      assert.match(err, status === 0 ? /^note: the kernel's BTF: it cannot be used/m : /^tcptop: the kernel's BTF cannot be used/)
      assert.match(err, said)
      const doctor = await inNamespace(bind(file), 'doctor')
      // Its lines are broken at words.
      assert.match(doctor.out.replace(/\n +/g, ' '), new RegExp(`^BTF +limited .*${said}`, 'm'))
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

/** Up from dist/test/e2e/. */
const fixtures = fileURLToPath(new URL('../../../test/fixture/btf', import.meta.url))

test('--btf is tried with a connection where the kernel has none: its own counts, that of another kernel is refused', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-'))
  try {
    const own = join(folder, 'own')
    writeFileSync(own, readFileSync('/sys/kernel/btf/vmlinux'))
    const { status, out, err } = await inNamespace(bind('/dev/null'), '--btf', own, '-f', 'json', '0.1', '1')
    assert.is(status, 0, err)
    assert.is(linesOf(out).length, 1)
    // One with the kernel's own structures is none of another.
    for (const name of readdirSync(fixtures).filter(name => !release().startsWith(`${/^\d+\.\d+/.exec(name)?.[0]}.`))) {
      complains(await inNamespace(bind('/dev/null'), '--btf', join(fixtures, name), '0.1', '1'), 2, '--btf must be the BTF of this kernel', name)
      complains(await tool('--btf', join(fixtures, name), '0.1', '1'), 2, '--btf must be the BTF of this kernel', name, 'here')
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('if /proc/loadavg cannot be read, the summary is skipped and stderr says so once', async () => {
  for (const mount of ['mount --bind /dev/null /proc/loadavg', 'mount -t tmpfs none /proc']) {
    const { status, out, err } = await inNamespace(mount, '0.1', '3')
    assert.is(status, 0, err)
    assert.match(out, /^Tracing\.\.\. /)
    assert.not.match(out, 'loadavg')
    assert.match(err, /^tcptop: [^\n]*\/proc\/loadavg[^\n]*\n$/)
    assert.is((await inNamespace(mount, '-S', '0.1', '3')).err, '')
    const json = await inNamespace(mount, '-f', 'json', '0.1', '2')
    assert.equal(linesOf(json.out).map(({ loadavg }) => loadavg), [null, null])
  }
})

test('a reader that closes the pipe ends the program with status 0', async () => {
  for (const args of [['0.1'], ['-C', '0.1'], ['-S', '0.1'], ['-f', 'json', '0.1'], ['--help'], ['--dump-bpf']]) {
    const { status, out, err } = await inShell('{ "$@"; echo "status $?" >&2; } | head -n 1', ...args)
    assert.equal([status, err], [0, 'status 0\n'], args.join(' '))
    assert.match(out, /^[^\n]+\n$/)
  }
})

test('a reader that closes stderr does not end the program', async () => {
  const script = 'exec 3>&1; { "$@" 2>&1 >&3; echo "status $?" >&3; } | head -n 1 >/dev/null'
  const { out } = await inShell(script, '-v', '-f', 'json', '0.1', '5')
  assert.match(out, /^(\{.*\}\n){5}status 0\n$/)
})

test('without standard output or standard error, it runs to the end', async () => {
  for (const script of ['"$@" >&-', '"$@" 2>&- >/dev/null', '"$@" <&- >&- 2>&-']) {
    assert.equal(await inShell(script, '0.1', '2'), { status: 0, out: '', err: '' })
  }
})

test('a write error is reported in one line', async () => {
  complains(await inShell('"$@" >/dev/full', '0.1', '2'), 1, 'ENOSPC')
})

/** A process that is looked after while it runs. */
interface Started {
  readonly process: ChildProcess
  readonly out: string
  readonly err: string
  until(condition: (started: Started) => boolean): Promise<void>
  /** Resolves when it has ended. */
  end(): Promise<Outcome>
}

function start(file: string, args: readonly string[]): Started {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { out: '', err: '' }
  child.stdout.on('data', data => (said.out += data))
  child.stderr.on('data', data => (said.err += data))
  const ended = once(child, 'close')
  const started: Started = {
    process: child,
    get out() { return said.out },
    get err() { return said.err },
    until: async condition => {
      for (const end = Date.now() + patience; !condition(started); await sleep(20)) {
        if (Date.now() <= end && child.exitCode === null) continue
        throw new Error(`in vain: ${JSON.stringify({ ...said, status: child.exitCode })}`)
      }
    },
    end: async () => {
      const timer = setTimeout(() => child.kill('SIGKILL'), patience)
      await ended
      clearTimeout(timer)
      return { status: child.exitCode ?? child.signalCode, ...said }
    },
  }
  return started
}

const startTool = (...args: string[]) => start(process.execPath, [cli, ...args])
const linesOf = (out: string) => out.trimEnd().split('\n').map(line => JSON.parse(line) as Line)

test('the interval so far is printed when a signal ends the program, in every format', async () => {
  const peer = await Peer.start()
  try {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      for (const format of ['table', 'csv'] as const) {
        const child = startTool('-f', format, '-p', `${peer.pid}`, '600')
        // The first line is printed when it is attached.
        await child.until(({ out }) => out.includes('\n'))
        await peer.move(5000)
        child.process.kill(signal)
        const { status, out, err } = await child.end()
        assert.equal([status, err], [0, ''])
        const rows = out.split('\n').filter(line => line.includes(`${peer.pid}`))
        const numbers = rows.map(line => line.trim().split(/[ ,]+/).slice(-2).join(' '))
        assert.equal(numbers.sort(), format === 'table' ? ['14 4', '4 14'] : ['15000 5000', '5000 15000'])
      }
    }
  } finally {
    await peer.stop()
  }
})

test('a signal while it starts ends it at once or well', async () => {
  for (let wait = 0; wait < 600; wait += 40) {
    const child = startTool('-f', 'json', '600')
    await sleep(wait)
    child.process.kill('SIGTERM')
    const { status, err } = await child.end()
    assert.ok(status === 0 || status === 'SIGTERM', `after ${wait} ms: status ${status}`)
    assert.is(err, '')
  }
})

/** Ids of what the process has in the kernel, by kind. */
function objectsOf(pid: number): Record<'prog' | 'map' | 'link', number[]> {
  const folder = `/proc/${pid}/fdinfo`
  const texts = readdirSync(folder).map(fd => readFileSync(join(folder, fd), 'utf8'))
  const ids = (kind: string) => texts.flatMap(text => {
    const id = new RegExp(`^${kind}_id:\\s*(\\d+)$`, 'm').exec(text)?.[1]
    return id === undefined ? [] : [Number(id)]
  })
  return { prog: ids('prog'), map: ids('map'), link: ids('link') }
}

/** Whether the kernel has an object of this id. */
function exists(command: BpfCommand, id: number): boolean {
  const attr = { bytes: new Uint8Array(Uint32Array.of(id, 0, 0, 0).buffer), pointers: [] }
  const native = loadNative()
  const fd = tryBpf(native, command, attr)
  if (fd >= 0) native.close(fd)
  else assert.is(-fd, constants.errno.ENOENT, command)
  return fd >= 0
}

for (const signal of ['SIGKILL', 'SIGTERM', 'SIGSEGV'] as const) {
  test(`nothing is left in the kernel after ${signal}`, async () => {
    const child = startTool('-f', 'json', '0.1')
    await child.until(({ out }) => out.includes('\n'))
    const { prog, map, link } = objectsOf(child.process.pid ?? 0)
    const left = () => [
      ...prog.filter(id => exists('PROG_GET_FD_BY_ID', id)),
      ...map.filter(id => exists('MAP_GET_FD_BY_ID', id)),
      ...link.filter(id => exists('LINK_GET_FD_BY_ID', id)),
    ].length
    assert.ok(prog.length >= 7 && map.length >= 3, 'what the tool has is known')
    assert.is(left(), prog.length + map.length + link.length)
    child.process.kill(signal)
    assert.is((await child.end()).status, signal === 'SIGTERM' ? 0 : signal)
    // The kernel gives things back a moment later.
    for (const end = Date.now() + patience; left() > 0 && Date.now() < end;) await sleep(20)
    assert.is(left(), 0)
  })
}

uvu.run()
