import { constants } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { backends } from '../../src/backend/index.js'
import { PlanError } from '../../src/backend/plan.js'
import { checks, type Finding, type Verdict } from '../../src/doctor/check.js'
import type { HookAnswer, Host, ProbedKind } from '../../src/doctor/host.js'
import { SyscallError, UnsupportedError } from '../../syscall/index.js'
import { host, unread } from './fixture.js'

const { EACCES, EMFILE, EPERM } = constants.errno
const both = 0xc0_0000_0000n
const power = (more: Partial<Host['power']>): Partial<Host> => ({ power: { ...host.power, ...more } })
const hooked = (kind: ProbedKind, answer: Partial<HookAnswer>): Partial<Host> =>
  ({ hooks: { ...host.hooks, [kind]: { ...host.hooks[kind], ...answer } } })
const trial = (name: string, error: Error): Partial<Host> =>
  ({ trials: host.trials.map(one => one.backend === name ? { backend: name, error } : one) })
const load = (errno: number) => new SyscallError('bpf(BPF_PROG_LOAD)', errno)
const attach = (errno: number) => new SyscallError('perf_event_open', errno)
const no = (error: Error) => ({ takes: false, error } as const)

/** On a host where all is well but for this, what a check says. */
const table: readonly (readonly [check: string, but: Partial<Host>, verdict: Verdict, found: RegExp, remedy?: RegExp])[] = [
  ['kernel', {}, 'ok', /^Linux 6\.18\.1-test on x64$/],
  ['kernel', { release: '5.4.0-1' }, 'limited', /^Linux 5\.4/, /5\.10/],
  ['kernel', { release: '5.10.0' }, 'ok', /5\.10/],
  ['kernel', { release: '10.1.0' }, 'ok', /10\.1/],
  ['kernel', { release: undefined }, 'unknown', /osrelease cannot be read/],
  ['BTF', {}, 'ok', /1000 bytes/],
  ['BTF', { btf: 0 }, 'limited', /by measurement/, /CONFIG_DEBUG_INFO_BTF/],
  ['BTF', { damage: 'type 7 is of kind 20' }, 'limited', /1000 bytes: type 7 is of kind 20$/, /--btf FILE/],
  ['BTF', { btf: new Error('EACCES: no') }, 'no', /^EACCES: no$/, /--btf FILE/],

  ['tracepoints', {}, 'ok', /^this kernel accepts tracepoint one, and has 1 more$/],
  ['tracepoints', hooked('tracepoint', { has: ['tracepoint one'] }), 'ok', /^this kernel accepts tracepoint one$/],
  ['tracepoints', hooked('tracepoint', { lacks: ['tracepoint two', 'tracepoint three'] }), 'limited',
    /accepts tracepoint one, .*, but no tracepoint two, no tracepoint three$/, /6\.3/],
  ['iterators', hooked('iterator', { has: [], lacks: ['iterator one', 'iterator two'], answer: undefined }), 'no', /^this kernel has no iterator one, nor 1 more$/, /BTF/],
  ['fentry', hooked('entry', { answer: no(load(524)) }), 'no', /^bpf\(BPF_PROG_LOAD\): ENOTSUPP$/, /^Linux 5\.5 with BTF and ftrace/],
  ['fexit', hooked('exit', { answer: no(load(EPERM)) }), 'no', /EPERM$/, /no capability is missing.*; it needs Linux 5\.5 with BTF and ftrace/],
  ['fexit', hooked('exit', { answer: { takes: undefined, error: load(EMFILE) } }), 'unknown', /EMFILE$/, /ftrace/],
  ['raw tracepoints', { ...power({ capabilities: 0n }), ...hooked('rawTracepoint', { answer: no(load(EPERM)) }) }, 'unknown',
    /^this kernel has raw tracepoint one; the rest cannot be checked without capabilities: bpf\(BPF_PROG_LOAD\): EPERM$/],
  ['raw tracepoints', { ...power({ capabilities: 0n }), ...hooked('rawTracepoint', { answer: no(load(524)) }) }, 'no', /ENOTSUPP$/, /CONFIG_BPF_EVENTS/],
  ['kprobes', { ...power({ capabilities: both, paranoid: 3 }), ...hooked('kprobe', { answer: no(attach(EACCES)) }) }, 'no',
    /perf_event_open: EACCES/, /^this process lacks CAP_SYS_ADMIN, .*paranoid is 3/],
  ['kprobes', hooked('kprobe', { answer: no(new UnsupportedError('a kprobe', 'tracefs')) }), 'no', /^a kprobe needs tracefs$/],
  ['kprobes', hooked('kprobe', { answer: { takes: undefined, error: new UnsupportedError('no shim') } }), 'unknown', /^no shim$/],

  ['perf_event_paranoid', {}, 'ok', /^2$/],
  ['perf_event_paranoid', power({ paranoid: 3 }), 'ok', /^3$/],
  ['perf_event_paranoid', power({ paranoid: 3, capabilities: both }), 'limited', /^3: no kprobes$/, /CAP_SYS_ADMIN/],
  ['perf_event_paranoid', power({ paranoid: 2, capabilities: both }), 'ok', /^2$/],
  ['perf_event_paranoid', power({ paranoid: undefined }), 'unknown', /cannot be read/],
  ['unprivileged_bpf_disabled', {}, 'ok', /^2$/],
  ['unprivileged_bpf_disabled', { unprivileged: 0 }, 'ok', /^0; .*capabilities all the same/],
  ['unprivileged_bpf_disabled', { release: '5.18.0' }, 'ok', /^2: before Linux 5\.19, CAP_BPF is kept/],
  ['unprivileged_bpf_disabled', { release: '5.19.0' }, 'ok', /^2$/],
  ['unprivileged_bpf_disabled', { unprivileged: undefined }, 'unknown', /cannot be read/],
  ['lockdown', {}, 'ok', /^none$/],
  ['lockdown', power({ lockdown: 'integrity' }), 'ok', /^integrity$/],
  ['lockdown', power({ lockdown: 'confidentiality' }), 'limited', /bpf_probe_read.*no process may set a kprobe/, /without lockdown=confidentiality/],
  ['lockdown', { ...power({ lockdown: 'confidentiality' }), release: '5.12.0' }, 'limited', /bpf_probe_read/, /without/],
  ['lockdown', { ...power({ lockdown: 'confidentiality' }), release: '5.11.9' }, 'no', /before Linux 5\.12 every backend/, /without/],
  ['lockdown', power({ lockdown: undefined }), 'unknown', /the kernel has none, or securityfs is not mounted/],
  ['capabilities', {}, 'ok', /^CAP_BPF and CAP_PERFMON$/],
  ['capabilities', power({ capabilities: 1n << 39n }), 'no', /^CAP_BPF$/, /^this process lacks CAP_PERFMON/],
  ['capabilities', power({ capabilities: 0n, isRoot: true }), 'no', /^none that matter here$/, /--cap-add BPF/],
  ['capabilities', power({ isContained: true }), 'no', /CAP_SYS_ADMIN/, /of a user namespace/],
  ['capabilities', power({ capabilities: undefined }), 'unknown', /cannot be read/, /CAP_BPF and CAP_PERFMON/],
  ['memlock', {}, 'ok', /^does not matter since Linux 5\.11$/],
  ['memlock', { release: '5.10.0' }, 'ok', /^unlimited$/],
  ['memlock', { release: '5.10.0', ...power({ memlock: 65536, capabilities: both }) }, 'limited', /^65536 bytes$/, /ulimit -l unlimited/],
  ['memlock', { release: '5.10.0', ...power({ memlock: 65536 }) }, 'ok', /^65536 bytes, which CAP_SYS_RESOURCE raises$/],
  ['memlock', { release: undefined }, 'unknown', /cannot be read/],
  ['cgroup', {}, 'ok', /^version 2 at \/sys\/fs\/cgroup$/],
  ['cgroup', { cgroup: { path: '/c', old: true } }, 'ok', /^version 2 at \/c, version 1 too$/],
  ['cgroup', { cgroup: { path: undefined, old: true } }, 'limited', /^only version 1: --cgroup/, /mount -t cgroup2/],
  ['cgroup', { cgroup: { path: undefined, old: false } }, 'limited', /^none is mounted/, /mount -t cgroup2/],
  ['cgroup', { cgroup: undefined }, 'unknown', /cannot be read/],
  ['network namespace', {}, 'ok', /^the host’s$/],
  ['network namespace', { isHosts: { net: false, pid: true } }, 'limited', /^not the host’s: .* from their beginning/, /hostNetwork/],
  ['pid namespace', { isHosts: { net: true, pid: false } }, 'limited', /^not the host’s: .*older than the tool/, /hostPID/],
  ['pid namespace', { isHosts: { net: true, pid: undefined } }, 'unknown', /cannot be seen from here/],

  ['backend fentry', {}, 'ok', /^starts, as its variant for Linux 5\.12 with BTF and ftrace; auto takes it$/],
  ['backend kprobe', {}, 'ok', /^starts, as its variant for [^;]*$/],
  ['backend tracepoint', trial('fentry', load(524)), 'ok', /; auto takes it$/],
  ['backend fentry', trial('fentry', load(524)), 'no', /ENOTSUPP$/],
  ['backend fentry', trial('fentry', new PlanError('backend fentry: it needs Linux 7')), 'no', /needs Linux 7$/],
  ['backend tracepoint', { ...power({ capabilities: 0n }), ...trial('tracepoint', load(EPERM)) }, 'unknown', /seems to have what it needs; .*EPERM$/],
  ['backend tracepoint', { ...power({ lockdown: 'confidentiality' }), ...trial('kprobe', attach(EPERM)) }, 'ok', /starts/],
  ['backend kprobe', { ...power({ lockdown: 'confidentiality' }), ...trial('kprobe', attach(EPERM)) }, 'no', /EPERM$/, /no process may set a kprobe/],
]

const findingOf = (check: string, but: Partial<Host>): Finding => checks.find(({ name }) => name === check)!.find({ ...host, ...but })

for (const [index, [check, but, verdict, found, remedy]] of table.entries()) {
  test(`${index}: ${check} is ${verdict}: ${found.source}`, () => {
    const finding = findingOf(check, but)
    assert.is(finding.verdict, verdict, finding.found)
    assert.match(finding.found, found)
    if (remedy === undefined) assert.is(finding.remedy, undefined)
    else assert.match(finding.remedy!, remedy)
  })
}

test('every check is in the table, each has a name of its own, and each backend is checked', () => {
  const names = checks.map(({ name }) => name)
  assert.equal(names, [...new Set(names)])
  assert.equal([...new Set(table.map(([check]) => check))].sort(), [...names].sort())
  assert.equal(names.filter(name => name.startsWith('backend ')), backends.map(name => `backend ${name}`))
})

test('without privileges or readable files, only BTF has a verdict', () => {
  for (const { name, find } of checks) if (name !== 'BTF') assert.is(find(unread).verdict, 'unknown', name)
})

test.run()
