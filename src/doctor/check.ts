import { isBefore, SyscallError } from '../../syscall/index.js'
import { backends } from '../backend/index.js'
import { adviceOn, capabilitiesOf, forbidden, lack, needed, unexplained } from '../host/index.js'
import { pointKinds } from '../trace/index.js'
import { type Host, type ProbedKind, kinds, takenOf } from './host.js'

/** `limited`: it works, but something is missed. `unknown`: it could not be found out. */
export type Verdict = 'ok' | 'limited' | 'no' | 'unknown'

export interface Finding {
  readonly verdict: Verdict
  readonly found: string
  /** What to do about it, or what would have it. */
  readonly remedy?: string | undefined
}

/** A line of the doctor's page. */
export interface Check {
  readonly name: string
  find(host: Host): Finding
}

/** What comes of a kernel that has no points of a kind, or not all. */
const consequences: Partial<Record<ProbedKind, string>> = {
  tracepoint: ', and 6.3 for all of them',
  iterator: '; without, connections older than the tool are not seen at its start',
}

/** All checks, in the order of the page: each looks at one thing, and a change of that is what its remedy is about. */
export const checks: readonly Check[] = [
  { name: 'kernel', find: ({ release, arch }) => {
    if (release === undefined) return unread('/proc/sys/kernel/osrelease')
    const found = `Linux ${release} on ${arch}`
    return isBefore(release, '5.10') ? { verdict: 'limited', found, remedy: 'kernels before Linux 5.10 are not tested' } : ok(found)
  } },
  { name: 'BTF', find: ({ btf, damage }) => {
    const remedy = 'a kernel with CONFIG_DEBUG_INFO_BTF, or --btf FILE'
    if (damage !== undefined) return { verdict: 'limited', found: `/sys/kernel/btf/vmlinux${btf instanceof Error ? '' : `, ${btf} bytes`}: ${damage}`, remedy }
    if (btf instanceof Error) return { verdict: 'no', found: btf.message, remedy }
    if (btf > 0) return ok(`/sys/kernel/btf/vmlinux, ${btf} bytes`)
    return { verdict: 'limited', found: 'none: kernel fields are found by measurement, and connections older than the tool are not found at its start', remedy }
  } },
  ...kinds.map(hook),
  { name: 'perf_event_paranoid', find: ({ power }) => {
    const { paranoid } = power
    if (paranoid === undefined) return unread('/proc/sys/kernel/perf_event_paranoid')
    const lacking = paranoid > 2 ? lack.kprobes(power) : undefined
    return lacking === undefined ? ok(`${paranoid}`) : { verdict: 'limited', found: `${paranoid}: no kprobes`, remedy: `${lacking}; or \`sudo sysctl kernel.perf_event_paranoid=2\`` }
  } },
  { name: 'unprivileged_bpf_disabled', find: ({ release, unprivileged }) => {
    if (unprivileged === undefined) return unread('/proc/sys/kernel/unprivileged_bpf_disabled')
    if (unprivileged === 0) return ok('0; tcptop needs capabilities all the same')
    return ok(`${unprivileged}${isBefore(release, '5.19') ? ': before Linux 5.19, CAP_BPF is kept for reading maps' : ''}`)
  } },
  { name: 'lockdown', find: ({ release, power: { lockdown } }) => {
    if (lockdown === undefined) return unread('/sys/kernel/security/lockdown', ': the kernel has none, or securityfs is not mounted')
    if (lockdown !== 'confidentiality') return ok(lockdown)
    return {
      verdict: isBefore(release, '5.12') ? 'no' : 'limited',
      found: `${lockdown}: ${forbidden.reading}; ${forbidden.kprobe}`,
      remedy: 'start the kernel without lockdown=confidentiality',
    }
  } },
  { name: 'capabilities', find: ({ power }) => {
    const remedy = lack.capabilities(power)
    if (power.capabilities === undefined) return { ...unread('/proc/self/status'), remedy }
    return remedy === undefined ? ok(needed.join(' and ')) : { verdict: 'no', found: capabilitiesOf(power)?.join(', ') || 'none that matter here', remedy }
  } },
  { name: 'memlock', find: ({ release, power }) => {
    const { memlock } = power
    if (release === undefined) return unread('/proc/sys/kernel/osrelease')
    if (memlock === undefined) return ok(isBefore(release, '5.11') ? 'unlimited' : 'does not matter since Linux 5.11')
    const remedy = lack.memory(power)
    const found = `${memlock} bytes`
    return remedy === undefined ? ok(`${found}, which CAP_SYS_RESOURCE raises`) : { verdict: 'limited', found, remedy }
  } },
  { name: 'cgroup', find: ({ cgroup }) => {
    if (cgroup === undefined) return unread('/proc/self/mounts')
    const { path, old } = cgroup
    if (path !== undefined) return ok(`version 2 at ${path}${old ? ', version 1 too' : ''}`)
    return {
      verdict: 'limited',
      found: `${old ? 'only version 1' : 'none is mounted'}: --cgroup does not work, and cgroups are shown by their ids`,
      remedy: '`sudo sh -c "mkdir -p /run/cgroup2 && mount -t cgroup2 none /run/cgroup2"`, or share the host’s /sys/fs/cgroup',
    }
  } },
  namespace('network', 'net', 'in other namespaces, connections that no process has open at the start are counted from their beginning', '`--network host` or `hostNetwork: true`'),
  namespace('pid', 'pid', 'processes outside have no pid here, and are not known as owners of connections older than the tool', '`--pid host` or `hostPID: true`'),
  ...backends.map((name, index): Check => ({ name: `backend ${name}`, find: host => {
    const trial = host.trials[index]!
    const { variant, error } = trial
    if (error !== undefined) return refused({ takes: false, error }, host, 'this kernel seems to have what it needs')
    return ok(`starts, as its variant for ${variant!.needs}${takenOf(host) === trial ? '; auto takes it' : ''}`)
  } })),
]

function ok(found: string): Finding {
  return { verdict: 'ok', found }
}

function unread(path: string, because = ''): Finding {
  return { verdict: 'unknown', found: `${path} cannot be read${because}` }
}

/** A kind of attach points, of which one is tried for all. */
function hook(kind: ProbedKind): Check {
  const needs = `${pointKinds[kind].needs}${consequences[kind] ?? ''}`
  return { name: pointKinds[kind].title, find: host => {
    const { has, lacks, answer } = host.hooks[kind]
    if (answer === undefined) return { verdict: 'no', found: `this kernel has no ${someOf(lacks, ', nor')}`, remedy: needs }
    const but = lacks.length > 0 ? `, but no ${lacks.join(', no ')}` : ''
    if (answer.takes !== true) return refused(answer, host, `this kernel has ${someOf(has)}${but}`, needs)
    const [first, ...others] = has
    const found = `this kernel accepts ${first}${others.length > 0 ? `, and has ${others.length} more` : ''}${but}`
    return lacks.length > 0 ? { verdict: 'limited', found, remedy: needs } : ok(found)
  } }
}

function someOf([first, ...others]: readonly string[], joint = ' and'): string {
  return `${first}${others.length > 0 ? `${joint} ${others.length} more` : ''}`
}

function namespace(title: string, kind: keyof Host['isHosts'], misses: string, settings: string): Check {
  return { name: `${title} namespace`, find: ({ isHosts }) => {
    const is = isHosts[kind]
    if (is === undefined) return { verdict: 'unknown', found: 'whether it is the host’s cannot be seen from here' }
    return is ? ok('the host’s') : { verdict: 'limited', found: `not the host’s: ${misses}`, remedy: `share the host’s: ${settings}` }
  } }
}

/** A refusal for missing privileges says nothing about the host: what is known without them is reported instead. Our own errors name what is needed. */
function refused({ takes, error }: { readonly takes: false | undefined; readonly error: Error }, { power }: Host, known: string, needs?: string): Finding {
  const verdict = takes === undefined ? 'unknown' : 'no'
  const found = error.message
  if (!(error instanceof SyscallError)) return { verdict, found }
  if (['EPERM', 'EACCES'].includes(error.code) && lack.capabilities(power) !== undefined) {
    return { verdict: 'unknown', found: `${known}; the rest cannot be checked without capabilities: ${found}` }
  }
  const said = adviceOn(error, power)
  return { verdict, found, remedy: said === unexplained && needs !== undefined ? `${said}; it needs ${needs}` : said ?? needs }
}
