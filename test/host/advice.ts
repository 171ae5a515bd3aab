import { constants } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { advice, type Power, powerOf } from '../../src/host/advice.js'
import { SyscallError, VerifierError } from '../../syscall/index.js'

const { E2BIG, EACCES, EINVAL, ENOMEM, ENOSYS, EPERM } = constants.errno

const bit = { admin: 1n << 21n, resource: 1n << 24n, perfmon: 1n << 38n, bpf: 1n << 39n }
const both = bit.bpf | bit.perfmon
const all = (1n << 41n) - 1n
/** What most processes may do that are told nothing. */
const power = (capabilities: bigint | undefined, more: Partial<Power> = {}): Power => ({ capabilities, isContained: false, ...more })

const call = (name: string, errno: number) => new SyscallError(name, errno)
const load = call('bpf(BPF_PROG_LOAD)', EPERM)
const create = call('bpf(BPF_MAP_CREATE)', EPERM)
const kprobe = (errno: number) => call('perf_event_open', errno)
const tracefs = call('write /sys/kernel/tracing/kprobe_events', EPERM)
const reading = new VerifierError('tcptop_state', EINVAL, '14: (85) call bpf_probe_read_kernel#113\nunknown func bpf_probe_read_kernel#113\n')
const typed = (errno: number) => new VerifierError('tcptop_state', errno, '1: (79) r0 = *(u64 *)(r2 +8)\nR2 !read_ok\n')

const confidential = { lockdown: 'confidentiality' }
const noRead = 'the kernel is locked down, /sys/kernel/security/lockdown says [confidentiality]: '
  + 'no process may use bpf_probe_read, which kprobe needs, and before Linux 5.12 every backend'
const noKprobe = 'the kernel is locked down, /sys/kernel/security/lockdown says [confidentiality]: no process may set a kprobe'
const lacksBoth = 'this process lacks CAP_BPF and CAP_PERFMON; run it as root, or with both'
const lacks = (name: string) => `this process lacks ${name}; run it as root, or with that too`
const locked = 'this process lacks CAP_SYS_RESOURCE and may lock 64 KiB (RLIMIT_MEMLOCK), too little before Linux 5.11; '
  + 'run it after `ulimit -l unlimited`, as root, or with that capability too'
const paranoid = 'this process lacks CAP_SYS_ADMIN, which is needed for kprobes while kernel.perf_event_paranoid is 3; '
  + 'run it as root, or with that too'
const forbidden = 'no capability is missing: the kernel’s configuration, a security module or a seccomp filter forbids it'
const nothing = ''

const table: readonly (readonly [title: string, error: SyscallError, power: Power, said: string])[] = [
  ['nobody lacks both', create, power(0n), lacksBoth],
  ['CAP_SYS_RESOURCE is neither', create, power(bit.resource), lacksBoth],
  ['with CAP_BPF the other is missing', load, power(bit.bpf), lacks('CAP_PERFMON')],
  ['with CAP_PERFMON the other is missing', create, power(bit.perfmon), lacks('CAP_BPF')],
  ['a root of few capabilities is told how a container gets them', load, power(bit.bpf, { isRoot: true }),
    'this root lacks CAP_PERFMON; add it to the container with --cap-add PERFMON, or securityContext.capabilities.add: [PERFMON]'],
  ['a root of none too', create, power(0n, { isRoot: true }),
    'this root lacks CAP_BPF and CAP_PERFMON; add them to the container with --cap-add BPF --cap-add PERFMON, '
      + 'or securityContext.capabilities.add: [BPF, PERFMON]'],
  ['where /proc tells nothing both are named', create, power(undefined), 'run it as root, or with CAP_BPF and CAP_PERFMON'],
  ['root of a user namespace lacks nothing that would help', create, power(all, { isContained: true }),
    'capabilities of a user namespace do not count here; run it as root outside of it'],
  ['with both it is a matter of something else', load, power(both), forbidden],
  ['CAP_SYS_ADMIN is as good as both', load, power(bit.admin), forbidden],
  ['root is not told to be root', load, power(all), forbidden],
  ['integrity forbids nothing that we do', load, power(all, { lockdown: 'integrity' }), forbidden],

  ['with both, locked memory is what is missing', create, power(both, { memlock: 65536 }), locked],
  ['of programs too', load, power(both, { memlock: 65536 }), locked],
  ['CAP_SYS_ADMIN does not lift the limit', create, power(bit.admin, { memlock: 65536 }), locked],
  ['CAP_SYS_RESOURCE does', create, power(both | bit.resource, { memlock: 65536 }), forbidden],
  ['capabilities come before locked memory', create, power(0n, { memlock: 65536 }), lacksBoth],

  ['kprobes need more than both on a paranoid kernel', kprobe(EACCES), power(both, { paranoid: 3 }), paranoid],
  ['and on a kernel that is not so, too, when it refuses them', kprobe(EACCES), power(both, { paranoid: 2 }),
    'this process lacks CAP_SYS_ADMIN, which is needed; run it as root, or with that too'],
  ['root’s refused kprobe has no advice', kprobe(EACCES), power(all, { paranoid: 3 }), nothing],

  ['locked down, programs may not read', reading, power(all, confidential), noRead],
  ['whatever the capabilities', reading, power(both, confidential), noRead],
  ['not locked down, that is no matter of lockdown', reading, power(all, { lockdown: 'none' }), nothing],
  ['locked down, what reads nothing is rejected for itself', typed(EINVAL), power(all, confidential), nothing],
  ['locked down, nobody sets kprobes', kprobe(EPERM), power(all, confidential), noKprobe],
  ['nor by tracefs', tracefs, power(all, confidential), noKprobe],
  ['locked down, too much paranoia is all the same told as such', kprobe(EACCES), power(both, { ...confidential, paranoid: 3 }), paranoid],
  ['locked down, capabilities are missing all the same', create, power(0n, confidential), lacksBoth],

  ['a program that is rejected with EACCES is no matter of privileges', typed(EACCES), power(all), nothing],
  ['except where one is missing', typed(EACCES), power(bit.bpf), lacks('CAP_PERFMON')],
  ['a pin that may not be opened', call('bpf(BPF_OBJ_GET)', EACCES), power(both), 'this user may not open that file; run it as root'],
  ['no BPF', call('bpf(BPF_MAP_CREATE)', ENOSYS), power(0n), 'this kernel was built without BPF (CONFIG_BPF_SYSCALL), or a seccomp filter hides it'],
  ['no memory', call('bpf(BPF_MAP_CREATE)', ENOMEM), power(0n), 'the kernel has no memory for the maps; try a smaller --max-flows'],
  ['anything else', call('bpf(BPF_MAP_CREATE)', E2BIG), power(0n), nothing],
]

for (const [title, error, power, said] of table) {
  test(title, () => assert.is(advice(error, power), said === nothing ? nothing : `: ${said}`))
}

/** Files by their paths. */
const reader = (files: Readonly<Record<string, string>>) => (path: string) => files[path]
const own = '         0          0 4294967295\n'
const nobody = {
  '/proc/self/status': 'Name:\tnode\nUid:\t65534\t65534\t65534\t65534\nCapPrm:\t000000c000000000\nCapEff:\t000000c000000000\nCapBnd:\t000001ffffffffff\n',
  '/proc/self/uid_map': own,
  '/proc/self/limits': 'Limit                     Soft Limit           Hard Limit           Units     \n'
    + 'Max locked memory         65536                65536                bytes     \n',
  '/proc/sys/kernel/osrelease': '5.10.0-46-amd64\n',
  '/proc/sys/kernel/perf_event_paranoid': '3\n',
  '/sys/kernel/security/lockdown': 'none integrity [confidentiality]\n',
}

test('privileges are read from the kernel’s files', () => {
  assert.equal(powerOf(reader(nobody)), {
    capabilities: both, isRoot: false, isContained: false, lockdown: 'confidentiality', paranoid: 3, memlock: 65536,
  })
})

test('root is the effective user', () => {
  for (const [ids, isRoot] of [['0\t0\t0\t0', true], ['1000\t0\t0\t0', true], ['0\t1000\t0\t0', false], ['10\t10\t0\t0', false]] as const) {
    assert.is(powerOf(reader({ ...nobody, '/proc/self/status': `Uid:\t${ids}\n` })).isRoot, isRoot, ids)
  }
})

test('unreadable files leave privileges unknown', () => {
  assert.equal(powerOf(() => undefined), {
    capabilities: undefined, isRoot: false, isContained: false, lockdown: undefined, paranoid: undefined, memlock: undefined,
  })
})

test('locked memory counts before Linux 5.11, if it is limited', () => {
  const memlockOn = (release: string, limits = nobody['/proc/self/limits']) =>
    powerOf(reader({ ...nobody, '/proc/sys/kernel/osrelease': release, '/proc/self/limits': limits })).memlock
  for (const release of ['5.4.0', '5.10.0-46-amd64', '4.19.1']) assert.is(memlockOn(release), 65536, release)
  for (const release of ['5.11.0', '5.15.1', '6.1.0', '7.3.4+deb13-amd64']) assert.is(memlockOn(release), undefined, release)
  const unlimited = 'Max locked memory         unlimited            unlimited            bytes     \n'
  assert.is(memlockOn('5.10.0', unlimited), undefined)
})

test('a user namespace is recognized by its id map', () => {
  const isContained = (map: string) => powerOf(reader({ ...nobody, '/proc/self/uid_map': map })).isContained
  assert.is(isContained(own), false)
  for (const map of ['         0       1000          1\n', '0 100000 65536\n', `${own}${own}`, '']) assert.is(isContained(map), true, map)
})

test.run()
