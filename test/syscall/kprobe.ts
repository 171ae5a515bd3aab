import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { UnsupportedError } from '../../syscall/index.js'
import { attachKprobe } from '../../syscall/kprobe.js'
import { loadProgram } from '../../syscall/prog.js'
import {
  PERF_EVENT_IOC_ENABLE, PERF_EVENT_IOC_SET_BPF, PERF_FLAG_FD_CLOEXEC, PERF_TYPE_TRACEPOINT, perfAttr,
} from '../../syscall/uapi.js'
import { type Answer, bufferOf, type Call, fakeKernel, numberOf } from '../kit/fake.js'

const { EACCES, EINVAL, ENOENT, EPERM } = constants.errno
/** Our probe in tracefs. */
const ours = `tcptop/release_sock_${process.pid}`
/** More than the largest pid (PID_MAX_LIMIT, include/linux/threads.h). */
const nobody = 2 ** 22 + 1

interface Setting {
  /** The number of the kprobe PMU, if there is one. */
  readonly pmu?: number
  /** What is in `kprobe_events`, if tracefs is mounted. */
  readonly events?: string
  /** The id that tracefs gives to our probe. */
  readonly id?: number
  readonly answer?: Answer
}

/** Runs `body` where a file takes the place of tracefs, and another that of the PMU's. */
function within({ pmu, events, id, answer }: Setting, body: (at: ReturnType<typeof setting>) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'kprobe-'))
  try {
    if (pmu !== undefined) writeFileSync(join(folder, 'type'), `${pmu}\n`)
    if (events !== undefined) writeFileSync(join(folder, 'kprobe_events'), events)
    if (id !== undefined) {
      mkdirSync(join(folder, 'events', ours), { recursive: true })
      writeFileSync(join(folder, 'events', ours, 'id'), `${id}\n`)
    }
    body(setting(folder, answer))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function setting(folder: string, answer: Answer | undefined) {
  const kernel = fakeKernel(answer)
  const program = loadProgram(kernel.descriptors, { name: 'p', type: 'kprobe', insns: new Uint8Array(16), license: 'GPL' })
  const places = { pmu: join(folder, 'type'), tracing: ['/nowhere', folder] }
  return {
    ...kernel,
    program,
    attach: () => attachKprobe(kernel.descriptors, program, 'release_sock', places),
    /** What was written to tracefs. */
    events: () => readFileSync(join(folder, 'kprobe_events'), 'utf8'),
    /** Calls beside the load. */
    asked: () => kernel.calls.slice(1),
  }
}

/** Sees that a program was attached to an event: opened for all, given the program, enabled. */
function attached(calls: readonly Call[], event: number, program: number, attr: Partial<Record<keyof typeof perfAttr.fields, number>>): void {
  assert.equal(calls.map(({ name, rest }) => [name, ...rest ?? []]), [
    ['perf_event_open', -1, 0, -1, PERF_FLAG_FD_CLOEXEC],
    ['ioctl', event, PERF_EVENT_IOC_SET_BPF, program],
    ['ioctl', event, PERF_EVENT_IOC_ENABLE, 0],
  ])
  const fields = Object.keys(perfAttr.fields).filter(name => name !== 'kprobe_func') as (keyof typeof perfAttr.fields)[]
  for (const name of fields) assert.is(numberOf(calls[0]!, perfAttr, name), { size: perfAttr.size, ...attr }[name] ?? 0, name)
}

test('a kprobe is an event of its PMU at the entry of the function, and gone when that is closed', () => {
  within({ pmu: 8, events: '' }, ({ attach, asked, program, made, closed, events }) => {
    const probe = attach()
    attached(asked(), probe.fd, program.fd, { type: 8 })
    assert.is(new TextDecoder().decode(bufferOf(asked()[0]!, perfAttr, 'kprobe_func')), 'release_sock\0')
    assert.is(probe.fd, made.at(-1))
    probe.close()
    probe.close()
    assert.equal(closed, [probe.fd])
    assert.is(events(), '', 'tracefs was not needed')
  })
})

test('without the PMU it is an event of tracefs, which is removed after the descriptor is closed, once', () => {
  within({ events: 'p:other/probe tcp_close\n', id: 1234 }, ({ attach, asked, program, closed, events }) => {
    const probe = attach()
    const made = `p:other/probe tcp_close\np:${ours} release_sock\n`
    assert.is(events(), made)
    attached(asked(), probe.fd, program.fd, { type: PERF_TYPE_TRACEPOINT, config: 1234, sample_period: 1 })
    assert.equal(asked()[0]!.pointers, [], 'no name of a function')
    probe.close()
    probe.close()
    assert.is(events(), `${made}-:${ours}\n`)
    assert.equal(closed, [probe.fd])
  })
})

test('when any call to the PMU is refused, tracefs is tried', () => {
  const refuse = (what: (call: Call) => boolean): Answer => call => what(call) ? -EACCES : undefined
  for (const isRefused of [
    ({ name, attr }: Call) => name === 'perf_event_open' && new DataView(attr.buffer).getUint32(0, true) === 8,
    ({ name, rest }: Call) => name === 'ioctl' && rest?.[0] === 101,
  ]) {
    within({ pmu: 8, events: '', id: 1, answer: refuse(isRefused) }, ({ attach, events, descriptors }) => {
      const probe = attach()
      assert.is(events(), `p:${ours} release_sock\n`)
      assert.is(descriptors.open, 2, 'the program and the event')
      probe.close()
      assert.is(descriptors.open, 1)
    })
  }
})

test('a function that the PMU does not know is not looked for in tracefs', () => {
  within({ pmu: 8, events: '', id: 1, answer: ({ name }) => name === 'perf_event_open' ? -ENOENT : undefined }, ({ attach, events, descriptors }) => {
    assert.throws(attach, /^perf_event_open: ENOENT$/)
    assert.is(events(), '')
    assert.is(descriptors.open, 1)
  })
})

test('without tracefs what the PMU refuses is the error, and nothing is left open', () => {
  for (const [errno, refused, message] of [
    [EPERM, ({ name }: Call) => name === 'perf_event_open', /^perf_event_open: EPERM$/],
    [EINVAL, ({ rest }: Call) => rest?.[1] === PERF_EVENT_IOC_SET_BPF, /^ioctl\(PERF_EVENT_IOC_SET_BPF\): EINVAL$/],
    [EINVAL, ({ rest }: Call) => rest?.[1] === PERF_EVENT_IOC_ENABLE, /^ioctl\(PERF_EVENT_IOC_ENABLE\): EINVAL$/],
  ] as const) {
    within({ pmu: 8, answer: call => refused(call) ? -errno : undefined }, ({ attach, descriptors }) => {
      assert.throws(attach, message)
      assert.is(descriptors.open, 1, 'the program')
    })
  }
})

test('without both a kprobe is not supported', () => {
  within({}, ({ attach, asked }) => {
    assert.throws(attach, (error: Error) => error instanceof UnsupportedError && /CONFIG_KPROBE_EVENTS/.test(error.message))
    assert.equal(asked(), [])
  })
})

test('a probe in tracefs that cannot be used is removed again', () => {
  within({ events: '' }, ({ attach, events, asked }) => {
    assert.throws(attach, (error: Error) => error instanceof UnsupportedError)
    assert.is(events(), `p:${ours} release_sock\n-:${ours}\n`, 'it has no id')
    assert.equal(asked(), [])
  })
  for (const refused of ['perf_event_open', 'ioctl']) {
    within({ events: '', id: 1, answer: ({ name }) => name === refused ? -EPERM : undefined }, ({ attach, events, descriptors }) => {
      assert.throws(attach, new RegExp(`^${refused}.*: EPERM$`))
      assert.is(events(), `p:${ours} release_sock\n-:${ours}\n`)
      assert.is(descriptors.open, 1, 'the program')
    })
  }
})

test('probes of processes that are gone are removed, those of others that live are not', () => {
  const there = [
    `p:tcptop/release_sock_${nobody} release_sock`,
    `p0:tcptop/release_sock_${nobody + 1} release_sock`,
    `p:tcptop/tcp_close_${process.ppid} tcp_close`,
    `p:other/release_sock_${nobody} release_sock`,
    `r16:tcptop/release_sock_${nobody} release_sock`,
  ].map(line => `${line}\n`).join('')
  within({ events: there, id: 1 }, ({ attach, events }) => {
    attach()
    assert.is(events(), `${there}-:tcptop/release_sock_${nobody}\n-:tcptop/release_sock_${nobody + 1}\np:${ours} release_sock\n`)
  })
})

test('a probe of another user’s process, which may not be signalled, is not removed', () => {
  const there = `p:tcptop/tcp_close_${nobody} tcp_close\n`
  const { kill } = process
  process.kill = () => { throw Object.assign(new Error('kill EPERM'), { code: 'EPERM' }) }
  try {
    within({ events: there, id: 1 }, ({ attach, events }) => {
      attach()
      assert.is(events(), `${there}p:${ours} release_sock\n`)
    })
  } finally {
    process.kill = kill
  }
})

test.run()
