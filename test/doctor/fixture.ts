import { constants } from 'node:os'
import { backends, variants } from '../../src/backend/index.js'
import { type HookAnswer, type Host, type ProbedKind, kinds } from '../../src/doctor/host.js'
import { powerOf } from '../../src/host/advice.js'
import { SyscallError } from '../../syscall/index.js'

const hooksOf = (answer: (kind: ProbedKind) => HookAnswer) => Object.fromEntries(kinds.map(kind => [kind, answer(kind)])) as Record<ProbedKind, HookAnswer>
const kindNames: Partial<Record<ProbedKind, string>> = { rawTracepoint: 'raw tracepoint' }

/** A host where all is well. */
export const host: Host = {
  release: '6.18.1-test',
  arch: 'x64',
  btf: 1000,
  damage: undefined,
  power: { capabilities: (1n << 41n) - 1n, isContained: false, lockdown: 'none', paranoid: 2, memlock: undefined },
  unprivileged: 2,
  cgroup: { path: '/sys/fs/cgroup', old: false },
  isHosts: { net: true, pid: true },
  hooks: hooksOf(kind => {
    const name = kindNames[kind] ?? kind
    return { has: [`${name} one`, ...kind === 'tracepoint' ? [`${name} four`] : []], lacks: [], answer: { takes: true } }
  }),
  trials: backends.map(name => ({ backend: name, variant: variants.find(({ backend }) => backend === name)! })),
}

const refused = new SyscallError('bpf(BPF_PROG_LOAD)', constants.errno.EPERM)

/** One of which nothing can be read, and whose kernel refuses everything. */
export const unread: Host = {
  release: undefined,
  arch: 'x64',
  btf: 1000,
  damage: undefined,
  power: powerOf(() => undefined),
  unprivileged: undefined,
  cgroup: undefined,
  isHosts: { net: undefined, pid: undefined },
  hooks: hooksOf(kind => ({ has: [`${kind} one`], lacks: [], answer: { takes: false, error: refused } })),
  trials: backends.map(name => ({ backend: name, error: refused })),
}
