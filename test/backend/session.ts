import { constants } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { encode } from '../../bpf-asm/index.js'
import { startSession, type SessionOptions } from '../../src/backend/session.js'
import { Name, Stat } from '../../src/layout.js'
import { mapName } from '../../src/program/index.js'
import {
  attachType, btfLoad, info, linkCreate, mapCreate, mapElem, PERF_EVENT_IOC_SET_BPF, perfAttr, progInfo, programType, progLoad, rawTracepoint,
} from '../../syscall/uapi.js'
import { distinct, type Possible } from '../kit/fixture.js'
import { type Answer, bufferOf, type Call, fakeKernel, numberOf, openFake, putField } from '../kit/fake.js'

const { EACCES, EIO, ENOENT } = constants.errno

/** Programs that run over what a map holds, before it is walked. */
const isSweep = ({ hook }: Possible['plan']['programs'][number]) => 'sweep' in hook
/** Programs that the plan runs once, and those that stay. */
const isIterator = ({ hook }: Possible['plan']['programs'][number]) => 'iterator' in hook

function start(plan: Possible['plan'], answer?: Answer, surroundings?: SessionOptions) {
  const fake = fakeKernel(answer)
  const kernel = openFake(fake.native)
  return { ...fake, kernel, session: startSession(plan, kernel, surroundings) }
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)))
const named = ({ attr }: Call, { fields }: typeof mapCreate | typeof progLoad) => {
  const [offset, size] = 'map_name' in fields ? fields.map_name : fields.prog_name
  return text(new Uint8Array([...attr.subarray(offset, offset + size), 0]))
}
/** Each is smaller than the one before it. */
const falls = (numbers: readonly number[]) => numbers.slice(1).every((number, index) => number < numbers[index]!)

/** Descriptors of the maps by name: they are made first, the BTF of the socket storage just before it. */
function fdsOf(calls: readonly Call[]): Record<string, number> {
  const fds: Record<string, number> = {}
  calls.filter(({ name }) => name === 'MAP_CREATE' || name === 'BTF_LOAD').forEach((call, index) => {
    if (call.name === 'MAP_CREATE') fds[named(call, mapCreate)] = 100 + index
  })
  return fds
}

/** A load that is only tried again for the verifier's log. */
const isRetry = (call: Call) => call.name === 'PROG_LOAD' && numberOf(call, progLoad, 'log_level') > 0

for (const { title: where, plan, planWith } of distinct) {
  const check = (title: string, run: () => void) => test(`${where}: ${title}`, run)
  const storages = plan.maps.filter(({ type }) => type === 'sk_storage').length

  check('programs are described by lines of source where there is a log, and not without it', () => {
    const place = { file: 'a.ts', line: 1, column: 1 }
    const described = (logLevel?: 1) => start(plan, undefined, { logLevel, sourceOf: () => place }).calls
      .filter(({ name }) => name === 'PROG_LOAD').map(call => numberOf(call, progLoad, 'func_info_cnt') > 0)
    assert.equal(described(1), plan.programs.map(() => true))
    assert.equal(described(), plan.programs.map(() => false))
  })

  check('maps are created, programs loaded, then attached, iterators run, and then the programs are switched on', () => {
    const { calls } = start(plan)
    const order: readonly (readonly Call['name'][])[] = [['MAP_CREATE', 'BTF_LOAD', 'MAP_FREEZE'], ['PROG_LOAD']]
    const constants = plan.maps.filter(({ constant }) => constant !== undefined).map(({ name }) => fdsOf(calls)[name])
    let step = 0
    let sweeps = plan.programs.filter(isSweep).length
    for (const call of calls) {
      const { name } = call
      if (name === 'MAP_UPDATE_ELEM' && step === 0 && constants.includes(numberOf(call, mapElem, 'map_fd'))) continue
      // A sweep is attached as the others are, and does not run yet.
      if (name === 'LINK_CREATE' && sweeps-- > 0) continue
      const at = order.findIndex(names => names.includes(name))
      const now = at >= 0 ? at : name === 'MAP_UPDATE_ELEM' ? 4 : name === 'LINK_CREATE' || name === 'ITER_CREATE' || name === 'read' ? 3 : 2
      assert.ok(now >= step, `${name} comes too late`)
      step = now
    }
    const [maps, loads] = (['MAP_CREATE', 'PROG_LOAD'] as const).map(name => calls.filter(call => call.name === name))
    assert.equal(maps!.map(call => named(call, mapCreate)), plan.maps.map(({ name }) => name))
    assert.equal(loads!.map(call => named(call, progLoad)), plan.programs.map(({ name }) => name))
    assert.is(calls.filter(({ name }) => name === 'ITER_CREATE').length, plan.programs.filter(isIterator).length)
  })

  check('each program is attached to its point, in the order of the plan', () => {
    const { calls } = start(plan)
    const { fields } = perfAttr
    const name = (call: Call, offset: number) => {
      const buffer = call.pointers.find(([at]) => at === offset)?.[1]
      return buffer === undefined ? '' : text(buffer)
    }
    const attached = calls.flatMap((call): (readonly (string | number | undefined)[])[] => {
      if (call.name === 'RAW_TRACEPOINT_OPEN') {
        return [[numberOf(call, rawTracepoint, 'prog_fd'), name(call, rawTracepoint.fields.name[0])]]
      }
      if (call.name === 'LINK_CREATE') return [[numberOf(call, linkCreate, 'prog_fd'), '']]
      if (call.name === 'perf_event_open') return [[0, name(call, fields.kprobe_func[0])]]
      return call.name === 'ioctl' && call.rest?.[1] === PERF_EVENT_IOC_SET_BPF ? [[call.rest[2]]] : []
    })
    const first = calls.filter(({ name }) => name === 'MAP_CREATE' || name === 'BTF_LOAD').length
    const wanted = plan.programs.map(({ hook }, index) => ({ hook, fd: 100 + first + index })).flatMap(({ hook, fd }) => {
      if ('rawTracepoint' in hook) return [[fd, hook.rawTracepoint]]
      return 'kprobe' in hook ? [[0, hook.kprobe], [fd]] : [[fd, '']]
    })
    assert.equal(attached, wanted)
  })

  check('a program is given with the descriptors of its maps, and what it is attached to', () => {
    const { calls, session } = start(plan)
    const loads = calls.filter(({ name }) => name === 'PROG_LOAD')
    const fds = fdsOf(calls)
    plan.programs.forEach(({ assembly, type, attachType: attach, btfId }, index) => {
      assert.equal(bufferOf(loads[index]!, progLoad, 'insns'), encode(assembly, fds))
      assert.is(numberOf(loads[index]!, progLoad, 'attach_btf_id'), btfId ?? 0)
      assert.is(numberOf(loads[index]!, progLoad, 'prog_type'), programType[type])
      assert.is(numberOf(loads[index]!, progLoad, 'expected_attach_type'), attach === undefined ? 0 : attachType[attach])
      assert.equal(bufferOf(loads[index]!, progLoad, 'license'), new TextEncoder().encode('GPL\0'))
      assert.is(numberOf(loads[index]!, progLoad, 'log_level'), 0)
    })
    assert.is(session.flows.fd, fds[mapName.flows])
    assert.equal(session.programs.map(({ name }) => name), plan.programs.map(({ name }) => name))
    for (const { log } of session.programs) assert.is(log, undefined)
  })

  check('a socket storage is described by a BTF that is closed at once, what is none is not', () => {
    const { calls, made, closed } = start(plan)
    assert.is(calls.filter(({ name }) => name === 'BTF_LOAD').length, storages)
    if (storages === 0) return assert.is(plan.maps.find(({ name }) => name === mapName.sockets)?.type, 'hash')
    const at = calls.findIndex(({ name }) => name === 'BTF_LOAD')
    const [load, create] = calls.slice(at, at + 2)
    assert.is(numberOf(load!, btfLoad, 'btf_size'), bufferOf(load!, btfLoad, 'btf')!.length)
    assert.is(named(create!, mapCreate), mapName.sockets)
    assert.is(numberOf(create!, mapCreate, 'btf_fd'), made[at])
    assert.is(closed[0], made[at])
  })

  check('every iterator is closed when it has run, everything else stays until the session ends', () => {
    const { kernel, session, made, closed } = start(plan)
    // The BTF, and two for each iterator.
    assert.is(closed.length, storages + 2 * plan.programs.filter(isIterator).length)
    const before = closed.length
    session.close()
    assert.is(kernel.open, 0)
    assert.equal([...closed].sort(), made)
    assert.ok(falls(closed.slice(before)), 'in reverse order')
    session.close()
    assert.is(closed.length, made.length)
  })

  /** The calls of a start, each but once. */
  const whole = start(plan).calls.length

  check('when any call is refused, the start fails and everything is undone in reverse order', () => {
    for (let refused = 0; refused < whole; refused++) {
      let index = -1
      let before = 0
      let refusing = false
      const fake = fakeKernel(call => {
        if (!isRetry(call)) refusing = ++index === refused
        if (refusing) before = fake.closed.length
        return refusing ? -EIO : undefined
      })
      const kernel = openFake(fake.native)
      assert.throws(() => startSession(plan, kernel), (error: NodeJS.ErrnoException) => error.code === 'EIO')
      assert.is(index, refused, `nothing is tried after call ${refused}, ${fake.calls[refused]?.name}`)
      assert.is(kernel.open, 0, `after call ${refused}`)
      assert.equal([...fake.closed].sort(), fake.made)
      assert.ok(falls(fake.closed.slice(before)), `after call ${refused}`)
    }
  })

  check('the verifier’s log of the program that is refused is kept, with our notes', () => {
    const { name, assembly } = plan.programs.at(-1)!
    const slot = assembly.notes.findIndex(note => note !== undefined)
    const fake = fakeKernel(call => {
      if (call.name !== 'PROG_LOAD' || named(call, progLoad) !== name) return
      const log = bufferOf(call, progLoad, 'log_buf')
      if (log !== undefined) new TextEncoder().encodeInto(`${slot}: (79) r1 = 0\nR1 is wrong\n`, log)
      return -EACCES
    })
    const kernel = openFake(fake.native)
    const wanted = `load ${name}: EACCES: R1 is wrong at ${slot}: (79) r1 = 0 (${assembly.notes[slot]})`
    assert.throws(() => startSession(plan, kernel), ({ message }: Error) => message === wanted)
    assert.is(kernel.open, 0)
  })

  check('with a log level the verifier’s logs are kept', () => {
    const answer: Answer = call => {
      const log = bufferOf(call, progLoad, 'log_buf')
      if (call.name === 'PROG_LOAD') new TextEncoder().encodeInto(`all of ${named(call, progLoad)} is well\n`, log!)
    }
    const { session } = start(plan, answer, { logLevel: 1 })
    for (const { name, log } of session.programs) assert.is(log, `all of ${name} is well\n`)
  })

  check('what the caller opened is used and not closed', () => {
    const filtered = planWith({ cgroupIds: true, mntnsIds: true })
    const fake = fakeKernel()
    const kernel = openFake(fake.native)
    const set = (name: string) => kernel.createMap({ name, type: 'hash', keySize: 8, valueSize: 8, maxEntries: 1 })
    const maps = { [mapName.cgroupIds]: set('one'), [mapName.mntnsIds]: set('other') }
    startSession(filtered, kernel, { maps }).close()
    assert.is(kernel.open, 2)
    assert.not.ok(fake.closed.some(fd => fd === 100 || fd === 101))
    const insns = fake.calls.filter(({ name }) => name === 'PROG_LOAD').map(call => bufferOf(call, progLoad, 'insns')!)
    const fds = { ...fdsOf(fake.calls), [mapName.cgroupIds]: 100, [mapName.mntnsIds]: 101 }
    assert.equal(insns, filtered.programs.map(({ assembly }) => encode(assembly, fds)))
  })

  check('without a map that the programs use nothing is started', () => {
    const kernel = openFake(fakeKernel().native)
    assert.throws(() => startSession(planWith({ mntnsIds: true }), kernel), /mntns_ids/)
    assert.is(kernel.open, 0)
  })

  check('the cgroup to stay in is put into its map before a program is loaded', () => {
    const { calls } = start(planWith({ cgroup: true }), undefined, { cgroup: { fd: 77, id: 0x1_0000_0002n } })
    const fds = fdsOf(calls)
    const updateOf = (map: string) => calls.findIndex(call => call.name === 'MAP_UPDATE_ELEM' && numberOf(call, mapElem, 'map_fd') === fds[map])
    const at = updateOf(mapName.cgroup)
    const update = calls[at]!
    assert.equal(bufferOf(update, mapElem, 'key'), new Uint8Array(4))
    assert.equal(bufferOf(update, mapElem, 'value'), Uint8Array.of(77, 0, 0, 0))
    // And its id is told to the programs, which look at processes that are not the current one.
    const known = calls[updateOf(mapName.known)]!
    assert.equal(new BigUint64Array(bufferOf(known, mapElem, 'value')!.slice().buffer), BigUint64Array.of(0n, 0x1_0000_0002n))
    const load = (calls: readonly Call[]) => calls.findIndex(({ name }) => name === 'PROG_LOAD')
    assert.ok(at < load(calls) && updateOf(mapName.known) < load(calls))
    const updates = (calls: readonly Call[]) => calls.slice(0, load(calls)).filter(({ name }) => name === 'MAP_UPDATE_ELEM').length
    assert.is(updates(calls), updates(start(plan).calls) + 2)
  })

  check('runs, their time and those that were skipped are sums over the programs that stay attached', () => {
    const staying = plan.programs.filter(program => !isIterator(program)).length
    const counted = plan.countsMisses ? 3 * staying : null
    // `sizeof(struct bpf_prog_info)` of Linux 5.10, which does not count them, and of 5.16
    for (const [size, missed] of [[208, null], [224, counted]] as const) {
      const { session } = start(plan, call => {
        if (call.name !== 'OBJ_GET_INFO_BY_FD') return
        putField(call, info, 'info_len', size)
        const view = new DataView(bufferOf(call, info, 'info')!.buffer)
        for (const [name, value] of [['run_cnt', 5n], ['run_time_ns', 2_000_000_000n], ['recursion_misses', 3n]] as const) {
          view.setBigUint64(progInfo.fields[name][0], value, true)
        }
      })
      assert.equal(session.runs(), { count: 5 * staying, seconds: 2 * staying, missed })
    }
  })

  check('a process that was renamed is called what its program noted, unless another process had its id then', () => {
    const comm = new TextEncoder().encode('renamed')
    const { session } = start(plan, call => {
      if (call.name !== 'MAP_LOOKUP_ELEM') return
      if (new DataView(bufferOf(call, mapElem, 'key')!.buffer).getUint32(0, true) !== 4711) return -ENOENT
      const value = bufferOf(call, mapElem, 'value')!
      assert.is(value.length, Name.size)
      new DataView(value.buffer).setBigUint64(Name.start, 2n ** 40n + 1n, true)
      value.set(comm, Name.comm)
      return
    })
    const kept = plan.maps.some(({ name }) => name === mapName.names)
    assert.is(kept, plan.programs.some(({ name }) => name === 'tcptop_rename'))
    assert.is(session.nameOf(4711, 2n ** 40n + 1n), kept ? 'renamed' : undefined)
    assert.is(session.nameOf(4711, 1n), undefined)
    assert.is(session.nameOf(4712, 2n ** 40n + 1n), undefined)
  })

  check('what the programs say about themselves is read where they write it', () => {
    const { session } = start(plan, call => {
      if (call.name !== 'MAP_LOOKUP_ELEM') return
      const value = bufferOf(call, mapElem, 'value')!
      const view = new DataView(value.buffer)
      assert.is(value.length, Stat.size)
      for (const [offset, number] of [
        [Stat.lostEvents, 1n], [Stat.lostTx, 2n], [Stat.lostRx, 2n ** 40n], [Stat.entered, 4n], [Stat.gone, 5n], [Stat.unsettled, 6n],
      ] as const) view.setBigUint64(offset, number, true)
    })
    assert.equal(session.stats(), { lost: { events: 1, tx: 2, rx: 2 ** 40 }, entered: 4, gone: 5, unsettled: 6 })
  })
}

for (const { title: where, plan } of distinct.filter(({ plan }) => plan.programs.some(isSweep))) {
  const over = (map: string) => plan.programs.filter(({ hook }) => 'sweep' in hook && hook.map === map).length
  test(`${where}: slots are flushed before each drain, and sockets audited when asked for`, () => {
    const { calls, session } = start(plan, ({ name }) => name === 'read' ? 0 : undefined)
    const iterations = () => calls.filter(({ name }) => name === 'ITER_CREATE').length
    let expected = plan.programs.filter(isIterator).length
    const runs = (more: number, what: () => void) => {
      what()
      assert.is(iterations(), expected += more)
    }
    runs(0, () => {})
    runs(over(mapName.pages), () => session.flows.batch())
    runs(over(mapName.unsettled), () => session.audit(false))
    runs(over(mapName.unsettled) + over(mapName.flows), () => session.audit(true))
    runs(over(mapName.pages), () => session.flows.batch())
  })
}

test.run()
