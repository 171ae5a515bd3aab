import { constants } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { factsOf } from '../../src/backend/facts.js'
import { backends } from '../../src/backend/index.js'
import { makePlans } from '../../src/backend/plan.js'
import { lookAt, type HostAccess } from '../../src/doctor/index.js'
import { byName } from '../../src/trace/index.js'
import { UsageError } from '../../src/usage-error.js'
import { UnsupportedError } from '../../syscall/index.js'
import { btfFixtures, noFilter } from '../kit/fixture.js'
import { type Answer, fakeKernel, openFake } from '../kit/fake.js'

const { ENOENT, EPERM } = constants.errno
const newest = btfFixtures.find(({ name }) => name === '6.18-x86_64')!
const old = btfFixtures.find(({ name }) => name === '6.1-x86_64')!

/** What is found on a kernel that grants all but what `answer` decides; sees that nothing is left open. */
async function find(changed: Partial<HostAccess> = {}, answer: Answer = () => {}, { btf, arch, bytes } = newest) {
  const { native, calls } = fakeKernel(answer)
  const kernel = openFake(native)
  const host = await lookAt({
    arch,
    readText: () => undefined,
    readLink: () => undefined,
    readBtf: () => bytes,
    openKernel: () => kernel,
    facts: async () => factsOf(btf, arch),
    plans: (backend, facts) => makePlans({ backend, filter: noFilter, maxFlows: 1024 }, facts),
    ...changed,
  })
  assert.is(kernel.open, 0, 'descriptors left open')
  return { host, calls }
}

test('on a kernel that accepts everything, each kind of hook is tried once and each backend starts', async () => {
  const { host, calls } = await find()
  for (const [kind, { has, lacks, answer }] of Object.entries(host.hooks)) {
    assert.ok(has.length > 0, kind)
    assert.equal([lacks, answer], [[], { takes: true }], kind)
  }
  assert.equal(host.trials.map(({ backend, variant }) => [backend, variant !== undefined]), [['fentry', true], ['kprobe', true], ['tracepoint', true]])
  const probes = calls.filter(({ name, attr }) => name === 'PROG_LOAD' && new TextDecoder().decode(attr).includes('tcptop_probe'))
  assert.is(probes.length, 6)
})

test('an iterator is tried as an iterator', async () => {
  // Without maps no backend starts.
  const { calls } = await find({}, ({ name }) => name === 'MAP_CREATE' ? -EPERM : undefined)
  assert.equal(['LINK_CREATE', 'RAW_TRACEPOINT_OPEN', 'perf_event_open'].map(wanted => calls.filter(({ name }) => name === wanted).length), [1, 4, 1])
})

test('a refusal keeps the kernel’s error', async () => {
  const { host } = await find({}, ({ name }) => name === 'PROG_LOAD' || name === 'MAP_CREATE' ? -EPERM : undefined)
  for (const { answer } of Object.values(host.hooks)) assert.is(answer?.takes, false)
  for (const { variant, error } of host.trials) assert.equal([variant, error?.message], [undefined, 'bpf(BPF_MAP_CREATE): EPERM'])
})

test('missing points are named if some variant needs them, and not if they are optional', async () => {
  const { host: { hooks } } = await find({}, undefined, old)
  assert.equal(hooks.tracepoint.lacks, ['tracepoint sock_send_length', 'tracepoint sock_recv_length'])
  assert.equal([hooks.exit.lacks, hooks.exit.answer?.takes], [[], true])
})

test('with measured fields, raw hooks are tried and typed ones are not', async () => {
  const { host } = await find({ readBtf: () => undefined, facts: async () => ({ ...factsOf(newest.btf, 'x64'), ...byName }) })
  assert.is(host.btf, 0)
  for (const kind of ['tracepoint', 'iterator', 'entry', 'exit'] as const) {
    assert.is(host.hooks[kind].answer, undefined)
    assert.ok(host.hooks[kind].lacks.length > 0, kind)
  }
  for (const kind of ['rawTracepoint', 'kprobe'] as const) assert.equal(host.hooks[kind].answer, { takes: true })
})

test('without the shim, facts or a readable BTF, everything else is reported', async () => {
  const error = new UnsupportedError('the shim is not there')
  const shimless = (await find({ openKernel: () => { throw error } })).host
  for (const { has, answer } of Object.values(shimless.hooks)) assert.equal([has.length > 0, answer], [true, { takes: undefined, error }])
  assert.equal(shimless.trials.map(trial => trial.error), backends.map(() => error))
  const factless = (await find({ facts: () => Promise.reject(error) })).host
  assert.equal(factless.trials.map(trial => trial.error), backends.map(() => error))
  assert.equal(factless.hooks.rawTracepoint.answer, { takes: true })
  const denied = Object.assign(new Error('EACCES: permission denied'), { errno: -13, code: 'EACCES' })
  assert.is((await find({ readBtf: () => { throw denied } })).host.btf, denied)
})

for (const mistake of [new UsageError('--btf must be'), new TypeError('a mistake of ours')]) {
  test(`a ${mistake.name} is nothing about the host, and ends it`, async () => {
    const thrown = await find({ facts: () => Promise.reject(mistake) }).then(() => undefined, (error: unknown) => error)
    assert.is(thrown, mistake)
  })
}

const reader = (files: Readonly<Record<string, string>>) => (path: string) => files[path]

test('the rest is read from /proc', async () => {
  const { host } = await find({ readText: reader({
    '/proc/sys/kernel/osrelease': '6.1.0-32-amd64\n',
    '/proc/sys/kernel/unprivileged_bpf_disabled': '2\n',
    '/proc/sys/kernel/perf_event_paranoid': '3\n',
    '/proc/self/mounts': 'cgroup /c/memory cgroup rw 0 0\ncgroup2 /c/unified cgroup2 rw 0 0\ncgroup2 /again cgroup2 rw 0 0\n',
  }) })
  assert.equal([host.release, host.unprivileged, host.power.paranoid, host.cgroup], ['6.1.0-32-amd64', 2, 3, { path: '/c/unified', old: true }])
  const plain = (await find({ readText: reader({ '/proc/self/mounts': 'proc /proc proc rw 0 0\n' }) })).host
  assert.equal([plain.cgroup, plain.unprivileged], [{ path: undefined, old: false }, undefined])
})

const [firstPid, firstNet] = ['pid:[4026531836]', 'net:[4026531833]']
const namespaces: readonly (readonly [
  title: string, release: string, links: Readonly<Record<string, string>>, net: boolean | undefined, pid: boolean | undefined,
])[] = [
  ['both are known by their numbers', '6.18.0', { 'self/ns/pid': firstPid, 'self/ns/net': firstNet }, true, true],
  ['others are not the host’s', '6.18.0', { 'self/ns/pid': 'pid:[4026532001]', 'self/ns/net': 'net:[4026532002]' }, false, false],
  ['of old, the network is compared with that of pid 1', '6.1.0',
    { 'self/ns/pid': firstPid, 'self/ns/net': 'net:[4026531840]', '1/ns/net': 'net:[4026531840]' }, true, true],
  ['and may be another', '6.1.0', { 'self/ns/pid': firstPid, 'self/ns/net': 'net:[4026532002]', '1/ns/net': 'net:[4026531840]' }, false, true],
  ['if that can be seen', '6.1.0', { 'self/ns/pid': firstPid, 'self/ns/net': 'net:[4026531840]' }, undefined, true],
  ['which a name that is empty does not tell', '5.10.0', { 'self/ns/pid': firstPid, 'self/ns/net': 'net:[4026531992]', '1/ns/net': '' }, undefined, true],
  ['and pid 1 is the host’s', '6.1.0', { 'self/ns/pid': 'pid:[4026532001]', 'self/ns/net': 'net:[4026532002]', '1/ns/net': 'net:[4026532002]' }, undefined, false],
  ['without /proc nothing is known', '6.1.0', {}, undefined, undefined],
]

for (const [title, release, links, net, pid] of namespaces) {
  test(`of namespaces: ${title}`, async () => {
    const { host: { isHosts } } = await find({
      readText: reader({ '/proc/sys/kernel/osrelease': release }), readLink: path => links[path.replace('/proc/', '')],
    }, ({ name }) => name === 'PROG_LOAD' ? -ENOENT : undefined)
    assert.equal(isHosts, { net, pid })
  })
}

test.run()
