import { isBefore, type SyscallError, VerifierError } from '../../syscall/index.js'
import { type Capability, capability, needed } from './privilege.js'

/** What this process may do, as far as the kernel's files show it; undefined where they do not. */
export interface Power {
  /** Effective capabilities, a bit each. */
  readonly capabilities?: bigint | undefined
  /** Whether it is root already, as it is in most containers: it lacks capabilities all the same. */
  readonly isRoot?: boolean | undefined
  /** Whether they are those of a user namespace, which count for nothing here. */
  readonly isContained: boolean
  /** What the kernel is locked against: `none`, `integrity` or `confidentiality`. */
  readonly lockdown?: string | undefined
  /** `kernel.perf_event_paranoid` */
  readonly paranoid?: number | undefined
  /** Bytes that may be locked, where that counts: before Linux 5.11. */
  readonly memlock?: number | undefined
}

/** Those of the capabilities that matter here which a process has; undefined where that is not known. */
export function capabilitiesOf({ capabilities }: Power): Capability[] | undefined {
  if (capabilities === undefined) return undefined
  return (Object.keys(capability) as Capability[]).filter(name => (capabilities >> capability[name] & 1n) === 1n)
}

/** Finds it out from the files; `read` gives undefined for one that cannot be read. */
export function powerOf(read: (path: string) => string | undefined): Power {
  const find = (path: string, pattern: RegExp) => pattern.exec(read(path) ?? '')?.[1]
  const effective = find('/proc/self/status', /^CapEff:\s*([0-9a-f]+)$/m)
  const paranoid = find('/proc/sys/kernel/perf_event_paranoid', /^(-?\d+)$/m)
  const release = read('/proc/sys/kernel/osrelease')
  const memlock = find('/proc/self/limits', /^Max locked memory +(\d+)/m)
  const users = find('/proc/self/uid_map', /^\s*(\d+\s+\d+\s+\d+)\s*$/)
  return {
    capabilities: effective === undefined ? undefined : BigInt(`0x${effective}`),
    isRoot: find('/proc/self/status', /^Uid:\s*\d+\s+(\d+)/m) === '0',
    // The first user namespace has every id as itself, and is the only one that can.
    isContained: read('/proc/self/uid_map') !== undefined && users?.split(/\s+/).join() !== '0,0,4294967295',
    lockdown: find('/sys/kernel/security/lockdown', /\[(\w+)\]/),
    paranoid: paranoid === undefined ? undefined : Number(paranoid),
    memlock: memlock === undefined || (release !== undefined && !isBefore(release, '5.11')) ? undefined : Number(memlock),
  }
}

/** What there is to do about what the kernel has refused, to put behind the message; empty where nothing is known. */
export function advice(error: SyscallError, power: Power): string {
  const text = adviceOn(error, power)
  return text === undefined ? '' : `: ${text}`
}

/** The same as a clause of its own. */
export function adviceOn(error: SyscallError, power: Power): string | undefined {
  const locked = lockedOut(error, power)
  if (locked !== undefined) return locked
  switch (error.code) {
    case 'EPERM':
    case 'EACCES':
      return missing(error, power)
    case 'ENOSYS':
      return 'this kernel was built without BPF (CONFIG_BPF_SYSCALL), or a seccomp filter hides it'
    case 'ENOMEM':
      return 'the kernel has no memory for the maps; try a smaller --max-flows'
    default:
      return undefined
  }
}

const says = 'the kernel is locked down, /sys/kernel/security/lockdown says [confidentiality]'
/** What lockdown=confidentiality forbids. */
export const forbidden = {
  reading: 'no process may use bpf_probe_read, which kprobe needs, and before Linux 5.12 every backend',
  kprobe: 'no process may set a kprobe',
} as const

/** The verifier does not know helpers that read any memory, and kprobes are refused, even to root. */
function lockedOut(error: SyscallError, { lockdown }: Power): string | undefined {
  if (lockdown !== 'confidentiality') return undefined
  if (error instanceof VerifierError) return error.log.includes('call bpf_probe_read') ? `${says}: ${forbidden.reading}` : undefined
  return isOfKprobe(error) && error.code === 'EPERM' ? `${says}: ${forbidden.kprobe}` : undefined
}

/** Where all is there that we know to be needed. */
export const unexplained = 'no capability is missing: the kernel’s configuration, a security module or a seccomp filter forbids it'

/** What this process lacks of what is needed for the call, or for one of those after it. */
function missing(error: SyscallError, power: Power): string | undefined {
  const lacking = lack.capabilities(power)
  // With all that the verifier asks for, what it says is about the program.
  if (lacking !== undefined || error instanceof VerifierError) return lacking
  if (isOfKprobe(error)) return lack.kprobes(power)
  if (error.syscall.includes('OBJ_GET')) return 'this user may not open that file; run it as root'
  return lack.memory(power) ?? unexplained
}

/** What this process lacks, and where to have it from; undefined where nothing is lacking. */
export const lack = {
  /** For all that is done. */
  capabilities(power: Power): string | undefined {
    if (power.capabilities === undefined) return `run it ${rootOr(needed.join(' and '))}`
    if (power.isContained) return 'capabilities of a user namespace do not count here; run it as root outside of it'
    const lacking = needed.filter(name => !has(power, name) && !has(power, 'CAP_SYS_ADMIN'))
    if (lacking.length === 0) return undefined
    if (power.isRoot) return `this root lacks ${lacking.join(' and ')}; ${howToAdd(lacking)}`
    return `this process lacks ${lacking.join(' and ')}; run it ${rootOr(lacking.length > 1 ? 'both' : 'that too')}`
  },
  /** For kprobes, where the kernel refuses them. */
  kprobes(power: Power): string | undefined {
    if (has(power, 'CAP_SYS_ADMIN')) return undefined
    const because = power.paranoid === undefined || power.paranoid <= 2 ? '' : ` for kprobes while kernel.perf_event_paranoid is ${power.paranoid}`
    return `this process lacks CAP_SYS_ADMIN, which is needed${because}; run it ${rootOr('that too')}`
  },
  memory(power: Power): string | undefined {
    if (power.memlock === undefined || has(power, 'CAP_SYS_RESOURCE')) return undefined
    return `this process lacks CAP_SYS_RESOURCE and may lock ${Math.floor(power.memlock / 1024)} KiB (RLIMIT_MEMLOCK), `
      + `too little before Linux 5.11; run it after \`ulimit -l unlimited\`, ${rootOr('that capability too')}`
  },
} as const

/** Whether the user lacks what root has: neither is it root already, nor in a user namespace, where that is no other. */
export function isHelpedByRoot(power: Power): boolean {
  return power.isRoot === false && !power.isContained && lack.capabilities(power) !== undefined
}

function has({ capabilities = 0n }: Power, name: Capability): boolean {
  return (capabilities >> capability[name] & 1n) === 1n
}

/** As Docker and Kubernetes call it. */
function howToAdd(capabilities: readonly Capability[]): string {
  const names = capabilities.map(name => name.replace('CAP_', ''))
  return `add ${names.length > 1 ? 'them' : 'it'} to the container with ${names.map(name => `--cap-add ${name}`).join(' ')}, `
    + `or securityContext.capabilities.add: [${names.join(', ')}]`
}

function rootOr(capabilities: string): string {
  return `as root, or with ${capabilities}`
}

function isOfKprobe({ syscall }: SyscallError): boolean {
  return syscall === 'perf_event_open' || syscall.endsWith('/kprobe_events')
}
