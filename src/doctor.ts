import { capabilitiesOf, type Power } from './advice.js'

/** What a host offers, as far as it was found out: what could not be is undefined. */
export interface Host {
  readonly power: Power
  readonly release: string | undefined
  readonly arch: string
  readonly hasBtf: boolean
  /** Of all backends, the preferred one first: what is seen in another way, or why it is not to be had. */
  readonly backends: readonly { readonly name: string; readonly limits: readonly string[]; readonly reason?: string | undefined }[]
  /** Why an empty program is refused, and what there is to do; undefined when it is not. */
  readonly refused: string | undefined
  /** `kernel.unprivileged_bpf_disabled` */
  readonly unprivileged: string | undefined
  /** Whether a directory of cgroup v2 can be seen. */
  readonly hasCgroups: boolean
  readonly isInitialPids: boolean
  /** The inode's number of the network namespace. */
  readonly net: string | undefined
}

/** Good, worth knowing, or in the way of counting. */
type Verdict = 'ok' | 'note' | 'bad'

/** A line of the page. */
export interface Finding {
  readonly check: string
  readonly verdict: Verdict
  readonly says: string
  /** What there is to do. */
  readonly remedy?: string
}

type Look = (host: Host) => Omit<Finding, 'check'>

const ok = (says: string) => ({ verdict: 'ok', says }) as const
const note = (says: string, remedy?: string) => ({ verdict: 'note', says, ...(remedy === undefined ? {} : { remedy }) }) as const
const bad = (says: string, remedy: string) => ({ verdict: 'bad', says, remedy }) as const

/** What is looked at, in the order of the page; the backends follow. */
const checks: Readonly<Record<string, Look>> = {
  kernel: ({ release, arch }) => {
    const [major = 0, minor = 0] = (release ?? '').split('.').map(Number.parseFloat)
    if (release === undefined) return note('its version cannot be read')
    if (major < 5 || (major === 5 && minor < 10)) return bad(`Linux ${release} on ${arch}`, 'Linux 5.10 or newer is needed')
    return ok(`Linux ${release} on ${arch}`)
  },
  BTF: ({ hasBtf }) => hasBtf ? ok('/sys/kernel/btf/vmlinux can be read')
    : note('there is none', 'a kernel with CONFIG_DEBUG_INFO_BTF, or --btf FILE; without, fields are found by measurement'),
  programs: ({ refused }) => refused === undefined ? ok('this process may load them') : bad('refused', refused),
  capabilities: ({ power }) => {
    const names = capabilitiesOf(power)
    const says = names === undefined ? 'cannot be read' : names.join(', ') || 'none that matters'
    return power.isContained ? note(`${says}, of a user namespace, where they count for nothing`, 'run it outside of it') : ok(says)
  },
  lockdown: ({ power: { lockdown } }) => lockdown === 'confidentiality'
    ? note('confidentiality: kprobe is refused, and before Linux 5.12 every backend', 'boot without lockdown=confidentiality where that is too little')
    : ok(lockdown ?? 'cannot be read'),
  perf_event_paranoid: ({ power: { paranoid } }) => paranoid !== undefined && paranoid > 2
    ? note(`${paranoid}: kprobe needs CAP_SYS_ADMIN`, 'sysctl kernel.perf_event_paranoid=2')
    : ok(paranoid === undefined ? 'cannot be read' : `${paranoid}`),
  unprivileged_bpf_disabled: ({ unprivileged }) =>
    ok(unprivileged === undefined ? 'cannot be read' : `${unprivileged}: tcptop needs its capabilities whatever it is`),
  memlock: ({ power: { memlock } }) => memlock === undefined ? ok('no limit that counts')
    : note(`${Math.floor(memlock / 1024)} KiB, which counts before Linux 5.11`, 'ulimit -l unlimited, or CAP_SYS_RESOURCE'),
  cgroups: ({ hasCgroups }) => hasCgroups ? ok('version 2 is mounted')
    : note('version 2 is not mounted: cgroups are shown by their ids', 'mount -t cgroup2 none /sys/fs/cgroup'),
  'pid namespace': ({ isInitialPids }) => isInitialPids ? ok('the host’s')
    : note('one of its own: pids are those in it, and processes outside have none', 'share the host’s (docker --pid=host, hostPID: true)'),
  'network namespace': ({ net }) =>
    ok(`${net ?? 'unknown'}: connections of all namespaces are counted, those without a process at the start only of this one`),
}

/** Tells the page of a host. Pure. */
export function examine(host: Host): Finding[] {
  const chosen = host.backends.find(({ reason }) => reason === undefined)
  const [has, takes] = host.refused === undefined ? ['can be had', 'takes'] : ['the kernel has what it needs; not tried', 'not tried, perhaps']
  return [
    ...Object.entries(checks).map(([check, look]) => ({ check, ...look(host) })),
    ...host.backends.map(({ name, reason }) => ({ check: name, ...(reason === undefined ? ok(has) : note(reason)) })),
    {
      check: '--backend auto',
      ...(chosen === undefined ? bad('none can be had', 'another kernel: the lines above tell what this one lacks') : ok([`${takes} ${chosen.name}`, ...chosen.limits].join('\n- '))),
    },
  ]
}

/** For eyes: a line each, what there is to do below it. */
export function findingsText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length))
  const under = `\n${' '.repeat(width + 8)}`
  return findings.map(({ check, verdict, says, remedy }) => {
    const lines = [...says.split('\n'), ...remedy === undefined ? [] : [`-> ${remedy}`]]
    return `${verdict.padEnd(4)}  ${check.padEnd(width)}  ${lines.join(under)}\n`
  }).join('')
}

export function findingsJson(findings: readonly Finding[]): string {
  return `${JSON.stringify({ v: 1, ok: isWell(findings), findings })}\n`
}

/** Whether the tool would count here. */
export function isWell(findings: readonly Finding[]): boolean {
  return findings.every(({ verdict }) => verdict !== 'bad')
}

export const doctorHelp = `Usage: tcptop doctor [-f table|json]

Tells what this host offers, and what there is to do where something is missing.
Needs no privileges; with those of tcptop it also tries what it tells of.
Exit status: 0 when tcptop would count here, 1 when not, 2 for wrong usage.
`
