import { constants } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseBtf } from '../bpf-asm/index.js'
import { backends, variants } from '../src/backend/index.js'
import { Key, Name, Value } from '../src/layout.js'
import { main, type World } from '../src/main.js'
import { fieldsOf } from '../src/program/index.js'
import { UnsupportedError } from '../syscall/index.js'
import { attachType, batch, info, mapElem, mapInfo, mapType, object, progInfo, progLoad } from '../syscall/uapi.js'
import { fakeClock } from './kit/clock.js'
import { btfFixtures, type Possible, possible } from './kit/fixture.js'
import { type Answer, bufferOf, type Call, fakeKernel, numberOf, openFake, putField } from './kit/fake.js'

const { E2BIG, EACCES, EINVAL, EIO, ENOENT, ENOMEM, ENOSYS, EPERM, EPIPE } = constants.errno
/** What is said where nothing is known of this process. */
const privileges = ': run it as root, or with CAP_BPF and CAP_PERFMON'

/** What is around the program: everything that it says and does is kept. */
function fakeWorld({ bytes, arch }: Pick<Possible, 'bytes' | 'arch'>, answer: Answer = () => {}, changed: Partial<World> = {}) {
  const fake = fakeKernel(call => {
    const result = answer(call)
    if (typeof result === 'number' || call.name !== 'MAP_LOOKUP_BATCH') return result
    // There are no flows.
    putField(call, batch, 'count', 0)
    return -ENOENT
  })
  const kernel = openFake(fake.native)
  const written: string[] = []
  const told: string[] = []
  const { clock, watchers } = fakeClock()
  const world: World = {
    openKernel: () => kernel,
    readBtf: () => bytes,
    readBtfFile: path => { throw Object.assign(new Error(`ENOENT: no such file, open '${path}'`), { code: 'ENOENT' }) },
    measureFields: async () => fieldsOf(parseBtf(bytes)),
    readText: () => undefined,
    readLink: () => undefined,
    arch,
    clock,
    out: { isTerminal: false, size: () => undefined, write: async text => void written.push(text) },
    tty: undefined,
    reverse: async () => [],
    writeNew: () => {},
    command: ['tcptop'],
    log: line => told.push(line),
    openCgroup: () => undefined,
    pidNamespace: () => undefined,
    cgroups: () => [],
    cgroupRoot: () => '/sys/fs/cgroup',
    mayBePin: () => true,
    remove: () => { throw new Error('nothing is to be removed') },
    usage: () => ({ cpu: 1.5, rss: 2 ** 20 }),
    otherThreads: () => [],
    processes: () => undefined,
    interrupted: () => new AbortController().signal,
    ...changed,
  }
  return { ...fake, kernel, world, written, told, watchers }
}

const failing = (code: string) => async () => {
  throw Object.assign(new Error(`write ${code}`), { code, errno: -1, syscall: 'write' })
}

/** A system that the program must not touch. */
const untouchable: Partial<World> = {
  openKernel: () => { throw new Error('the kernel was opened') },
  readBtf: () => { throw new Error('BTF was read') },
  measureFields: () => { throw new Error('fields were measured') },
}

/** For each variant that is some kernel's choice of its backend, that kernel. */
const choices = backends.flatMap(backend => {
  const first = btfFixtures.flatMap(({ name }) => possible.find(one => one.fixture === name && one.backend === backend) ?? [])
  return variants.flatMap(variant => first.find(({ plan }) => plan.variant === variant) ?? [])
})

for (const one of choices) {
  const { fixture, title: where, backend, plan } = one
  /** The variant that is tried when the kernel has refused all others. */
  const last = possible.filter(other => other.fixture === fixture && other.backend === backend).at(-1)!.plan
  const check = (title: string, run: () => Promise<void>) => test(`${where}: ${title}`, run)
  const args = (...more: readonly string[]) => ['--backend', backend, ...more]

  /** Runs the program, and sees that it leaves nothing open. */
  async function run(argv: readonly string[], answer?: Answer, changed?: Partial<World>) {
    const fake = fakeWorld(one, answer, changed)
    const status = await main(argv, fake.world)
    assert.is(fake.kernel.open, 0, 'descriptors left open')
    assert.is(fake.watchers.size, 0, 'timers left')
    return { ...fake, status }
  }

  /** It said one line, on stderr alone. */
  async function complains(status: number, line: string | RegExp, ...rest: Parameters<typeof run>) {
    const result = await run(...rest)
    assert.is(result.told.length, 1, result.told.join('\n'))
    const [told] = result.told
    if (typeof line === 'string') assert.is(told, `tcptop: ${line}`)
    else assert.match(told!, line)
    assert.not.match(told!, '\n')
    assert.is(result.status, status)
    return result
  }

  check('the requested number of frames is written, each in one write, and the status is 0', async () => {
    const { status, written, told } = await run(args('1', '3'))
    assert.equal([status, told], [0, []])
    assert.is(written.length, 4)
    assert.match(written[0]!, /^Tracing\.\.\. Output every 1 secs\. Hit Ctrl-C to end\n/)
    for (const frame of written.slice(1)) assert.match(frame, /loadavg: 0\.00 0\.00 0\.00 1\/1 1\n/)
  })

  check('the frames of JSON name the backend', async () => {
    const { written } = await run(args('-f', 'json', '0.5', '2'))
    type Line = { readonly backend: string; readonly interval: number }
    const frames = written.join('').trim().split('\n').map(line => JSON.parse(line) as Line)
    assert.equal(frames.map(({ backend, interval }) => [backend, interval]), [[backend, 0.5], [backend, 0.5]])
  })

  check('missing processes are reported once, and when all have ended the last frame is printed', async () => {
    const there = [new Set([1, 7]), new Set([1, 7, 8]), new Set([1, 8]), new Set([1])]
    let looks = 0
    const processes = () => there[Math.min(looks++, 3)]
    const fake = fakeWorld(one, undefined, { processes })
    const { write } = fake.world.out
    const out = { ...fake.world.out, write: async (text: string) => {
      await write(text)
      // Twice a frame somebody looks: at the map, and at the processes.
      fake.watchers.forEach(watch => watch())
    } }
    assert.is(await main(args('-p', '7,8', '1'), { ...fake.world, out }), 0)
    assert.equal(fake.told, ['tcptop: there is no process 8 yet: waiting for it'])
    assert.equal([fake.watchers.size, fake.kernel.open], [0, 0])
    // The first line, one for each look but the first, and the last.
    assert.is(fake.written.length, 4)
  })

  check('stopping prints a last frame, and the status is 0', async () => {
    const stop = new AbortController()
    let left = 3
    const write = async () => {
      if (--left === 0) stop.abort()
    }
    const out = { isTerminal: false, size: () => undefined, write }
    const { status, told } = await run(args(), undefined, { interrupted: () => stop.signal, out })
    assert.equal([status, told, left], [0, [], -1])
  })

  check('a refusal of the kernel is reported in one line, with advice if there is any', async () => {
    for (const [errno, said] of [
      [EPERM, `EPERM${privileges}`],
      [EACCES, `EACCES${privileges}`],
      [ENOSYS, 'ENOSYS: this kernel was built without BPF (CONFIG_BPF_SYSCALL), or a seccomp filter hides it'],
      [ENOMEM, 'ENOMEM: the kernel has no memory for the maps; try a smaller --max-flows'],
      [E2BIG, 'E2BIG'],
      [EINVAL, 'EINVAL'],
      [524, 'ENOTSUPP'],
    ] as const) {
      const { written } = await complains(1, `bpf(BPF_MAP_CREATE): ${said}`, args(), () => -errno)
      assert.equal(written, [])
    }
    const noPrograms: Answer = ({ name }) => name === 'PROG_LOAD' ? -EPERM : undefined
    await complains(1, `bpf(BPF_PROG_LOAD): EPERM${privileges}`, args(), noPrograms)
  })

  check('what this process lacks is looked up when the kernel refuses, and not before', async () => {
    const readText = (path: string) => path === '/proc/self/status' ? 'CapEff:\t0000008000000000\n' : undefined
    const line = 'bpf(BPF_PROG_LOAD): EPERM: this process lacks CAP_PERFMON; run it as root, or with that too'
    await complains(1, line, args(), ({ name }) => name === 'PROG_LOAD' ? -EPERM : undefined, { readText })
    // Whether programs may copy is a matter of the plan.
    const read: string[] = []
    assert.is((await run(args('1', '1'), undefined, { readText: path => void read.push(path) })).status, 0)
    assert.equal(read, ['/sys/kernel/security/lockdown'])
  })

  check('any refused call is reported in one line, and nothing stays open', async () => {
    const { calls } = await run(args('1', '1'))
    // Commands stay refused once one was: a program is loaded once more for its log.
    for (let refused = 0; refused < calls.length; refused++) {
      let index = 0
      await complains(1, /EIO/, args('1', '1'), () => index++ >= refused ? -EIO : undefined)
    }
  })

  const rejected: Answer = call => {
    if (call.name !== 'PROG_LOAD') return
    const log = bufferOf(call, progLoad, 'log_buf')
    if (log !== undefined) new TextEncoder().encodeInto('0: (95) exit\n1: (95) exit\nR0 !read_ok\n', log)
    return -EINVAL
  }

  check('a rejected program is reported in one line, with -v also with its meaning and the log', async () => {
    const { name, assembly } = last.programs[0]!
    const message = `load ${name}: EINVAL: R0 !read_ok at 1: (95) exit`
    const note = assembly.notes[1]
    const line = `${message}${note === undefined ? '' : ` (${note})`} (1 line omitted; -v shows all)`
    await complains(1, line, args(), rejected)
    const { status, told } = await run(args('-v'), rejected)
    assert.is(status, 1)
    assert.is(told.length, 1)
    assert.ok(told[0]!.startsWith(`tcptop: ${line}\n      0: (`))
    assert.match(told[0]!, /\n> +1: \(95\) exit.*\n[^]*\n\nThe verifier says: R0 !read_ok\nIt means: .*\nFix: .*\n\n0: \(95\) exit[^]*\nR0 !read_ok\n$/)
  })

  check('with a broken BTF, or fields that cannot be found, one line says what is needed', async () => {
    const measureFields = () => { throw new UnsupportedError('without BTF this') }
    await complains(1, 'without BTF this', [...args().slice(2), '--no-btf'], undefined, { measureFields })
    for (const bytes of [new Uint8Array(), new Uint8Array(100), one.bytes.subarray(0, 1000)]) {
      const reason = /^tcptop: the kernel's BTF cannot be used: .*(no BTF|cut off).*; and without it: without BTF this$/
      const { calls } = await complains(1, reason, args(), undefined, { readBtf: () => bytes, measureFields })
      assert.is(calls.length, 0)
    }
  })

  check('without the shim, one line says what to do', async () => {
    const reason = 'the native shim is not built: run npm run build'
    await complains(1, reason, args(), undefined, { openKernel: () => { throw new UnsupportedError(reason) } })
  })

  check('a closed pipe ends it with status 0, at every write', async () => {
    for (let writes = 0; writes < 4; writes++) {
      let left = writes
      const write = async () => left-- === 0 ? failing('EPIPE')() : undefined
      const out = { isTerminal: false, size: () => undefined, write }
      const { status, told } = await run(args(), undefined, { out })
      assert.equal([status, told, left], [0, [], -1])
    }
  })

  check('any other write error is reported; EPIPE of a system call is not a closed pipe', async () => {
    const out = { isTerminal: false, size: () => undefined, write: failing('ENOSPC') }
    await complains(1, 'write ENOSPC', args(), undefined, { out })
    await complains(1, 'bpf(BPF_MAP_CREATE): EPIPE', args(), () => -EPIPE)
  })

  check('an unexpected error is reported in one line, with -v with its stack', async () => {
    const boom = { readBtf: () => one.bytes, openKernel: () => { throw new Error('boom') } }
    await complains(1, 'boom', args(), undefined, boom)
    const { told } = await run(args('-v'), undefined, boom)
    assert.match(told[0]!, /^tcptop: Error: boom\n {4}at /)
  })

  check('wrong usage is reported with status 2, before anything is touched', async () => {
    for (const argv of [['-p', 'x'], ['-4', '-6'], ['0'], ['--nope'], ['--backend', 'magic']]) {
      await complains(2, /^tcptop: .* got /, argv, undefined, untouchable)
    }
  })

  check('what the user wrote reaches stderr as text, never as something that a terminal obeys', async () => {
    const text = 'a\x9b31m\x1b]0;x\x07\n\u202eb'
    for (const argv of [['-p', text], [text], ['1', '2', text], [`--${text}`], ['-r1', `-r${text}`], ['-c', text], ['--btf', text], ['--cgroupmap', text]]) {
      const { told, status } = await run(argv.includes('--cgroupmap') ? args(...argv) : argv, ({ name }) => name === 'OBJ_GET' ? -EINVAL : undefined)
      assert.is(status, 2, told.join())
      assert.is(told.length, 1)
      assert.match(told[0]!, /^[\x20-\x7e]*$/)
    }
  })

  check('help and version are written without touching anything, the programs without the kernel', async () => {
    for (const option of ['--help', '--version']) {
      const { status, written, told } = await run([option], undefined, untouchable)
      assert.equal([status, told, written.length], [0, [], 1])
    }
    const { openKernel } = untouchable as Pick<World, 'openKernel'>
    const { status, written } = await run(args('--dump-bpf'), undefined, { openKernel })
    assert.is(status, 0)
    assert.match(written[0]!, new RegExp(`^; backend ${backend}\n`))
    for (const { name } of plan.programs) assert.match(written[0]!, `\n; program ${name} at `)
    const { written: [json] } = await run(args('--dump-bpf', '-f', 'json'), undefined, { openKernel })
    const { programs } = JSON.parse(json!) as { readonly programs: readonly { readonly name: string; readonly insns: readonly { readonly line?: number }[] }[] }
    assert.equal(programs.map(({ name }) => name), plan.programs.map(({ name }) => name))
    assert.ok(programs.every(({ insns }) => insns.every(({ line = 0 }) => line > 0)), 'each has its line of source')
  })

  check('with -v the programs are dumped as the kernel has taken them, and nothing stays', async () => {
    const verified: Answer = call => {
      if (call.name !== 'OBJ_GET_INFO_BY_FD') return
      new DataView(bufferOf(call, info, 'info')!.buffer).setUint32(progInfo.fields.verified_insns[0], 123, true)
    }
    const { status, written } = await run(args('--dump-bpf', '-v'), verified)
    assert.equal([status, written.length], [0, 1])
    for (const { name } of plan.programs) assert.match(written[0]!, new RegExp(`\n; program ${name} at .*, 123 verified\n`))
  })

  /** A pinned set of ids. */
  const set: Answer = call => {
    if (call.name !== 'OBJ_GET_INFO_BY_FD') return
    const view = new DataView(bufferOf(call, info, 'info')!.buffer)
    const { type, key_size, value_size } = mapInfo.fields
    for (const [[offset], value] of [[type, mapType.hash], [key_size, 8], [value_size, 8]] as const) {
      view.setUint32(offset, value, true)
    }
    return
  }

  check('all that was opened is closed in reverse order: the session, the sets, the cgroup', async () => {
    const order: string[] = []
    const openCgroup = () => ({ fd: 9, id: 77n, close: () => void order.push('cgroup') })
    const fake = fakeWorld(one, set, { openCgroup })
    const { close } = fake.native
    Object.assign(fake.native, { close: (fd: number) => {
      close(fd)
      order.push(`${fd}`)
    } })
    assert.is(await main(args('-c', '/c', '--cgroupmap', '/1', '--mntnsmap', '/2', '1', '1'), fake.world), 0)
    assert.is(fake.kernel.open, 0)
    assert.equal(order.slice(-3), ['101', '100', 'cgroup'])
    // The BTF of a socket storage and the iterators are closed before, and what sweeps before the one walk.
    const storages = plan.maps.filter(({ type }) => type === 'sk_storage').length
    const sweeps = plan.programs.filter(({ hook }) => 'sweep' in hook).length
    const session = order.slice(storages + 2 * plan.programs.filter(({ hook }) => 'iterator' in hook).length + sweeps, -1).map(Number)
    assert.ok(session.slice(1).every((fd, index) => fd < session[index]!), session.join(' '))
  })

  check('what was opened before a refusal is closed too', async () => {
    const order: string[] = []
    const openCgroup = () => ({ fd: 9, id: 77n, close: () => void order.push('cgroup') })
    const argv = args('-c', '/c', '--cgroupmap', '/1')
    const noPrograms: Answer = call => call.name === 'PROG_LOAD' ? -EPERM : set(call)
    await complains(1, /EPERM/, argv, noPrograms, { openCgroup })
    assert.equal(order, ['cgroup'])
    const noSet: Answer = ({ name }) => name === 'OBJ_GET' ? -EINVAL : undefined
    await complains(2, /--cgroupmap must be .*, got "\/1"/, argv, noSet, { openCgroup })
    assert.equal(order, ['cgroup', 'cgroup'])
  })

  check('a path that is not a cgroup is wrong usage', async () => {
    await complains(2, '--cgroup must be a cgroup v2 directory, got "/nowhere"; cgroup v2 is mounted at /sys/fs/cgroup', args('-c', '/nowhere'))
  })

  check('a set that another tool has made meanwhile is shared', async () => {
    let pins = 0
    const { calls, told, status } = await run(args('--cgroupmap', '/1', '1', '1'), call => {
      if (call.name === 'OBJ_GET') return pins === 0 ? -ENOENT : undefined
      if (call.name === 'OBJ_PIN') return pins++ === 0 ? -constants.errno.EEXIST : undefined
      return set(call)
    })
    assert.equal([status, told, pins], [0, [], 1])
    const made = calls.filter(({ name }) => name === 'OBJ_GET' || name === 'OBJ_PIN').map(({ name }) => name)
    assert.equal(made, ['OBJ_GET', 'OBJ_PIN', 'OBJ_GET'])
  })

  check('a new set is pinned last, or not at all', async () => {
    const openCgroup = () => ({ fd: 9, id: 77n, close: () => {} })
    const fresh = args('-c', '/c', '--cgroupmap', '/new', '--mntnsmap', '/bad')
    /** Nothing is at /new, and at /bad a program, or nothing either. */
    const at = (call: Call, path: string) => path === `${new TextDecoder().decode(bufferOf(call, object, 'pathname'))}`.slice(0, -1)
    const noMap: Answer = call => call.name === 'OBJ_GET' ? at(call, '/new') ? -ENOENT : -EINVAL : undefined
    const before = await complains(2, /--mntnsmap must be .*, got "\/bad": it is not a BPF map$/, fresh, noMap, { openCgroup })
    assert.not.ok(before.calls.some(({ name }) => name === 'OBJ_PIN' || name === 'PROG_LOAD'))

    const noPrograms: Answer = ({ name }) => name === 'OBJ_GET' ? -ENOENT : name === 'PROG_LOAD' ? -EPERM : undefined
    const without = await complains(1, /EPERM/, fresh, noPrograms, { openCgroup })
    assert.not.ok(without.calls.some(({ name }) => name === 'OBJ_PIN'))

    const removed: string[] = []
    const noPin: Answer = call =>
      call.name === 'OBJ_GET' ? -ENOENT : call.name === 'OBJ_PIN' && at(call, '/bad') ? -EPERM : undefined
    const world = { openCgroup, remove: (path: string) => void removed.push(path) }
    await complains(2, /--mntnsmap must be .*, got "\/bad": .* can be pinned there \(EPERM\)/, fresh, noPin, world)
    assert.equal(removed, ['/new'])

    const { status, calls } = await run([...fresh, '1', '1'], ({ name }) => name === 'OBJ_GET' ? -ENOENT : undefined, { openCgroup })
    assert.equal([status, calls.filter(({ name }) => name === 'OBJ_PIN').length], [0, 2])
  })

  check('without BTF, wrong usage is reported all the same', async () => {
    const gone = { readBtf: () => undefined, measureFields: untouchable.measureFields! }
    await complains(2, /--cgroup must be .*, got "\/nowhere"/, args('-c', '/nowhere'), undefined, gone)
    await complains(2, /--mntnsmap must be .*, got "\/1"/, args('--mntnsmap', '/1'), () => -EINVAL, gone)
  })

  check('a set that may not be opened is a refusal, a file that is not a map is wrong usage', async () => {
    const refused: Answer = ({ name }) => name === 'OBJ_GET' ? -EACCES : undefined
    await complains(1, `bpf(BPF_OBJ_GET): EACCES${privileges}`, args('--cgroupmap', '/1'), refused)
    await complains(2, /got "\/1": it is not a BPF map$/, args('--cgroupmap', '/1'), refused, { mayBePin: () => false })
  })

  check('a set whose keys cannot be ids is reported, and used all the same', async () => {
    let first = true
    const { status, told, written } = await run(args('--cgroupmap', '/1', '1', '1'), call => {
      if (call.name !== 'MAP_LOOKUP_BATCH' || !first) return set(call)
      first = false
      new DataView(bufferOf(call, batch, 'keys')!.buffer).setBigUint64(0, 0xf000_0000n, true)
      putField(call, batch, 'count', 1)
      return -ENOENT
    })
    assert.is(status, 0)
    assert.is(told.length, 1)
    assert.match(told[0]!, /^tcptop: --cgroupmap: no key can be a cgroup id/)
    assert.is(written.length, 2)
  })

  check('rows show the names that processes have now, and are sorted by them', async () => {
    const flows = [[1, 'aa'], [2, 'mm'], [3, 'bb']] as const
    const answer: Answer = call => {
      if (call.name === 'MAP_LOOKUP_BATCH') {
        const [keys, values] = [bufferOf(call, batch, 'keys')!, bufferOf(call, batch, 'values')!]
        flows.forEach(([pid, comm], index) => {
          new DataView(keys.buffer, keys.byteOffset).setBigUint64(index * Key.size, BigInt(pid), true)
          const value = new DataView(values.buffer, values.byteOffset + index * Value.size)
          value.setBigUint64(Value.tx, 1000n, true)
          value.setUint32(Value.pid, pid, true)
          value.setBigUint64(Value.start, 77n, true)
          values.set(new TextEncoder().encode(comm), index * Value.size + Value.comm)
        })
        putField(call, batch, 'count', flows.length)
        return -ENOENT
      }
      const value = call.name === 'MAP_LOOKUP_ELEM' ? bufferOf(call, mapElem, 'value')! : undefined
      if (value?.length !== Name.size) return
      const pid = new DataView(bufferOf(call, mapElem, 'key')!.buffer).getUint32(0, true)
      if (pid === 2) return -ENOENT
      // The third has the id of one that was renamed.
      new DataView(value.buffer).setBigUint64(Name.start, pid === 3 ? 76n : 77n, true)
      value.set(new TextEncoder().encode('zz'), Name.comm)
      return
    }
    const shownBy = async (by: string, ...more: readonly string[]) => (await run(args('-f', 'csv', '--by', by, ...more, '1', '1'), answer))
      .written.join('').trim().split('\n').slice(1).map(line => line.split(',').slice(2, 4).join(' '))
    const shown = (...more: readonly string[]) => shownBy('process', ...more)
    assert.equal(await shown('-s', 'pid'), ['1 zz', '2 mm', '3 bb'])
    assert.equal(await shown('-s', 'comm'), ['3 bb', '2 mm', '1 zz'])
    assert.equal(await shown('-s', 'comm', '-r', '1'), ['3 bb'])
    // Bytes never move from one name to another where names are told apart.
    assert.equal(await shownBy('process,comm', '-s', 'comm'), ['1 aa', '3 bb', '2 mm'])
    assert.equal(await shownBy('comm,port', '-s', 'comm'), ['aa 0', 'bb 0', 'mm 0'])
  })

  check('an unreadable load average is reported once, and not at all with -S', async () => {
    const clock = { ...fakeClock().clock, loadavg: () => null }
    const { status, told, written } = await run(args('1', '3'), undefined, { clock })
    assert.is(status, 0)
    assert.equal(told, ['tcptop: /proc/loadavg cannot be read: the summary line is skipped'])
    assert.not.match(written.join(''), 'loadavg')
    assert.equal((await run(args('-S', '1', '3'), undefined, { clock })).told, [])
  })

  check('-v prints what was chosen, its limitations and the cost of every frame', async () => {
    const { told } = await run(args('-v', '1', '2'), call => {
      const log = bufferOf(call, progLoad, 'log_buf')
      if (call.name === 'PROG_LOAD') assert.is(numberOf(call, progLoad, 'log_level'), 1)
      if (call.name === 'PROG_LOAD') new TextEncoder().encodeInto('processed 5 insns\n', log!)
    })
    assert.ok(told.some(line => line.startsWith(`backend ${backend}`)))
    for (const { name } of plan.programs) assert.ok(told.includes(`verifier log of ${name}:`), name)
    for (const limit of plan.variant.limits) assert.ok(told.includes(`note: ${limit}`), limit)
    assert.is(told.filter(line => line === 'flows 0, cpu 25.0 %, 1.500 s in all, drain 0.0 ms, memory 1.0 MiB').length, 2)
    const blind = await run(args('-v', '1', '1'), undefined, { usage: () => ({ cpu: 1.5, rss: undefined }) })
    assert.ok(blind.told.some(line => line.endsWith(', memory unknown')))
    assert.is(told.includes('note: this kernel does not count the program runs that it skips'), !plan.countsMisses)
  })

  check('-v says what skipped runs make inexact, where the kernel counts them', async () => {
    let asked = 0
    const { told } = await run(args('-v', '1', '1'), call => {
      if (call.name !== 'OBJ_GET_INFO_BY_FD') return
      const bytes = bufferOf(call, info, 'info')!
      new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(progInfo.fields.recursion_misses[0], BigInt(asked++), true)
    })
    const said = told.filter(line => /, the kernel skipped [1-9]\d* program runs: bytes may show later, or in the row of /.test(line))
    assert.is(said.length, plan.countsMisses ? 1 : 0, told.join('\n'))
  })

  check('only -v requests statistics of the programs’ runs, and the kernel may have none', async () => {
    /** How often each program was looked at: it ran 7 times in between, for 0.3 ms. */
    const looks = new Map<number, number>()
    const counting: Answer = call => {
      if (call.name === 'OBJ_GET_INFO_BY_FD') {
        const fd = numberOf(call, info, 'bpf_fd')
        looks.set(fd, (looks.get(fd) ?? 0) + 1)
        const bytes = bufferOf(call, info, 'info')!
        for (const [field, value] of [['run_cnt', 7], ['run_time_ns', 300_000]] as const) {
          const [at] = progInfo.fields[field]
          new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(at, BigInt(value * looks.get(fd)!), true)
        }
      }
    }
    const counted = await run(args('-v', '1', '2'), counting)
    assert.ok(counted.calls.some(({ name }) => name === 'ENABLE_STATS'))
    const staying = plan.programs.filter(({ hook }) => !('iterator' in hook)).length
    const figures = `, programs ran ${7 * staying} times, ${(0.3 * staying).toFixed(1)} ms, `
    assert.is(counted.told.filter(line => line.includes(figures)).length, 2, counted.told.join('\n'))
    assert.not.ok((await run(args('1', '1'))).calls.some(({ name }) => name === 'ENABLE_STATS'))
    const { status, told } = await run(args('-v', '1', '1'), ({ name }) => name === 'ENABLE_STATS' ? -EPERM : undefined)
    assert.is(status, 0, told.join('\n'))
  })

  check('the map has the requested capacity', async () => {
    const sizes: number[] = []
    await run(args('--max-flows', '1234', '1', '1'), ({ name, attr }) => {
      if (name === 'MAP_CREATE') sizes.push(new DataView(attr.buffer).getUint32(12, true))
    })
    assert.ok(sizes.includes(1234))
  })
}

const untouchableMeasure: Partial<World> = { measureFields: () => { throw new Error('fields were measured') } }
const newest = btfFixtures.find(({ name }) => name === '6.18-x86_64')!

/** Runs the program on a kernel that has what every backend needs, and sees that it leaves nothing open. */
async function runOnNewest(argv: readonly string[], answer: Answer) {
  const fake = fakeWorld(newest, answer)
  const status = await main(argv, fake.world)
  assert.is(fake.kernel.open, 0, 'descriptors left open')
  return { ...fake, status }
}

const isEntryOrReturn = (call: Call) => call.name === 'PROG_LOAD' &&
  [attachType.trace_fentry, attachType.trace_fexit].includes(numberOf(call, progLoad, 'expected_attach_type') as never)
/** What a kernel that knows no such thing refuses, by the backend that it takes away, and what is then said. */
const refusals: readonly { backend: string; says: string; on(call: Call): number | undefined }[] = [
  { backend: 'fentry', says: 'bpf(BPF_PROG_LOAD): EPERM', on: call => isEntryOrReturn(call) ? -EPERM : undefined },
  { backend: 'kprobe', says: 'perf_event_open: EACCES', on: ({ name }) => name === 'perf_event_open' ? -EACCES : undefined },
  {
    backend: 'tracepoint', says: 'bpf(BPF_RAW_TRACEPOINT_OPEN): ENOTSUPP',
    on: ({ name }) => name === 'RAW_TRACEPOINT_OPEN' ? -524 : undefined,
  },
]
/** A kernel that refuses several. */
const refusing = (...names: readonly string[]): Answer => call =>
  refusals.filter(({ backend }) => names.includes(backend)).map(({ on }) => on(call)).find(result => result !== undefined)

test('the newest kernel of the fixtures has what every backend needs', () => {
  for (const backend of backends) assert.ok(possible.some(one => one.fixture === newest.name && one.backend === backend), backend)
})

for (const [names, taken] of [[[], 'fentry'], [['fentry'], 'tracepoint'], [['kprobe'], 'fentry'], [['fentry', 'kprobe'], 'tracepoint']] as const) {
  test(`when the kernel refuses ${names.join(' and ') || 'nothing'}, ${taken} is taken, and -v says why no other one`, async () => {
    const { status, told, written } = await runOnNewest(['-v', '-f', 'json', '1', '1'], refusing(...names))
    assert.is(status, 0, told.join('\n'))
    assert.is((JSON.parse(written.join('')) as { readonly backend: string }).backend, taken)
    const preferred = variants.slice(0, variants.findIndex(({ backend }) => backend === taken))
    // Each variant that was tried has its reason.
    assert.equal(told.filter(line => line.startsWith('passed over ')), preferred.map(({ backend, needs }) =>
      `passed over backend ${backend}: its variant for ${needs} is refused: ${refusals.find(one => one.backend === backend)!.says}`))
    const others = await runOnNewest(['-f', 'json', '1', '1'], refusing(...names))
    assert.equal([others.status, others.told], [0, []], 'without -v nothing is said')
  })
}

for (const { backend, says } of refusals) {
  test(`when the kernel refuses ${backend} and it is asked for, one line says why, and no other is taken`, async () => {
    const { status, told, written, calls } = await runOnNewest(['--backend', backend, '1', '1'], refusing(backend))
    assert.equal([status, written, told.length], [1, [], 1])
    assert.ok(told[0]!.startsWith(`tcptop: ${says}`), told[0])
    const loaded = calls.filter(({ name }) => name === 'PROG_LOAD').map(({ attr }) => new TextDecoder().decode(attr))
    assert.ok(loaded.length > 0)
    assert.is(loaded.some(load => /tcptop_(release|mptcp)\0/.test(load)), backend !== 'tracepoint', 'a program of another backend')
  })
}

test('when the kernel refuses all of them, the reason for the last one is reported', async () => {
  const { status, told } = await runOnNewest(['1', '1'], refusing(...refusals.map(({ backend }) => backend)))
  assert.equal([status, told], [1, [`tcptop: ${refusals.at(-1)!.says}`]])
})

test('an error that is not a refusal ends it, whatever other backends there are', async () => {
  const { status, told, calls } = await runOnNewest(['1', '1'], ({ name }) => {
    if (name === 'PROG_LOAD') throw new TypeError('a mistake of ours')
  })
  assert.equal([status, told], [1, ['tcptop: a mistake of ours']])
  assert.is(calls.filter(({ name }) => name === 'PROG_LOAD').length, 1)
})

for (const [names, taken] of [[[], 'fentry'], [['fentry', 'kprobe'], 'tracepoint'], [['fentry', 'kprobe', 'tracepoint'], null]] as const) {
  test(`when the kernel refuses ${names.join(' and ') || 'nothing'}, the doctor's status is what a run would come to, and auto takes ${taken}`, async () => {
    const { status, told, written } = await runOnNewest(['doctor', '-f', 'json'], refusing(...names))
    const { runs, backend } = JSON.parse(written.join('')) as Readonly<Record<string, unknown>>
    assert.equal([status, told, runs, backend], [taken === null ? 1 : 0, [], taken !== null, taken])
    assert.is((await runOnNewest(['1', '1'], refusing(...names))).status, status)
    const page = await runOnNewest(['doctor'], refusing(...names))
    assert.match(page.written.join(''), taken === null ? /^tcptop does not run here:$/m : `tcptop runs here: auto takes ${taken}.`)
  })
}

test('a wrong --btf is wrong usage for the doctor too', async () => {
  const { status, told } = await runOnNewest(['doctor', '--btf', '/nowhere'], () => {})
  assert.equal([status, told.length], [2, 1])
  assert.match(told[0]!, /^tcptop: --btf must be the path of a BTF file/)
})

/** The fixture with another type behind so many of its own, of a kind that nobody knows. */
function withUnknown(after: number): Uint8Array {
  const view = new DataView(newest.bytes.buffer, newest.bytes.byteOffset)
  const at = (offset: number) => view.getUint32(offset, true)
  const [start, length] = [at(4) + at(8), at(12)]
  const place = start + placeOf(newest.bytes.subarray(start, start + length), after)
  const bytes = Uint8Array.from([...newest.bytes.subarray(0, place), 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 0, ...newest.bytes.subarray(place)])
  const header = new DataView(bytes.buffer)
  header.setUint32(12, length + 12, true)
  header.setUint32(16, at(16) + 12, true)
  return bytes
}

/** Where the type behind so many begins. */
function placeOf(types: Uint8Array, count: number): number {
  const view = new DataView(types.buffer, types.byteOffset)
  const words: Readonly<Record<number, readonly [number, number]>> = {
    1: [1, 0], 3: [3, 0], 4: [0, 3], 5: [0, 3], 6: [0, 2], 13: [0, 2], 14: [1, 0], 15: [0, 3], 17: [1, 0], 19: [0, 3],
  }
  let at = 0
  for (; count > 0; count--) {
    const info = view.getUint32(at + 4, true)
    const [fixed, each] = words[info >>> 24 & 0x7f] ?? [0, 0]
    at += 4 * (3 + fixed + each * (info & 0xffff))
  }
  return at
}

test('one type of an unknown kind takes away what is behind it: what is before is used, or fields are measured, and -v says why', async () => {
  const { types } = parseBtf(newest.bytes)
  for (const [after, note] of [
    [types, `only a part of it can be read: type ${types + 1} is of kind 99, which is unknown`],
    [0, 'it cannot be used, and fields were found by measurement: .* is not before the end: type 1 is of kind 99, which is unknown'],
  ] as const) {
    const bytes = withUnknown(after)
    assert.is(parseBtf(bytes).types, after)
    const measureFields = async () => fieldsOf(parseBtf(newest.bytes))
    const { world, told } = fakeWorld(newest, () => {}, { readBtf: () => bytes, ...after === types ? untouchableMeasure : { measureFields } })
    assert.is(await main(['-v', '1', '1'], world), 0, told.join('\n'))
    assert.match(told.join('\n'), new RegExp(`^note: the kernel's BTF: ${note}$`, 'm'))
    const { world: again, written } = fakeWorld(newest, () => {}, { readBtf: () => bytes, measureFields })
    assert.is(await main(['doctor', '-f', 'json'], again), 0)
    const { checks } = JSON.parse(written.join('')) as { readonly checks: readonly { readonly name: string; readonly verdict: string; readonly found: string }[] }
    const { verdict, found } = checks.find(({ name }) => name === 'BTF')!
    assert.is(verdict, 'limited')
    assert.match(found, new RegExp(`${note}$`))
  }
})

test('--btf of another kernel is refused where this one has BTF, but for what is only printed', async () => {
  for (const other of btfFixtures.filter(({ name }) => name !== newest.name)) {
    const { world, told } = fakeWorld(newest, () => {}, { readBtfFile: () => other.bytes })
    for (const argv of [['--btf', 'file', '1', '1'], ['--btf', 'file', '--dump-bpf', '-v'], ['doctor', '--btf', 'file']]) {
      assert.is(await main(argv, world), 2, other.name)
      assert.match(told.pop()!, /^tcptop: --btf must be the BTF of this kernel, got "file": \w+ is (absent|at byte \d+, of \d+) there, and (absent|at byte \d+, of \d+) here$/)
    }
    assert.is(await main(['--btf', 'file', '--dump-bpf'], world), 0)
    assert.equal(told, [])
  }
})

test('without BTF, or with --no-btf, the plan is one by name, with the fields that were measured', async () => {
  const loaded = async (argv: readonly string[], changed: Partial<World> = {}) => {
    const { world, told, calls, kernel } = fakeWorld(newest, () => {}, changed)
    assert.is(await main(['--backend', 'tracepoint', ...argv, '1', '1'], world), 0, told.join('\n'))
    assert.is(kernel.open, 0, 'descriptors left open')
    return calls.filter(({ name }) => name === 'PROG_LOAD').map(call => bufferOf(call, progLoad, 'insns'))
  }
  const expected = await loaded(['--btf', 'file'], { readBtfFile: () => newest.bytes })
  assert.ok(expected.length > 0)
  assert.equal(await loaded(['--no-btf'], { readBtf: untouchable.readBtf! }), expected)
  assert.equal(await loaded([], { readBtf: () => undefined }), expected)
  assert.equal(await loaded([], { readBtf: () => newest.bytes.subarray(0, 1000) }), expected)
})

test.run()
