import { BtfError } from '../../bpf-asm/index.js'
import { isBefore, type Kernel, SyscallError, UnsupportedError } from '../../syscall/index.js'
import { backends, type Facts, type Plan, PlanError, probeAt, type ProbeResult, startSession, type Variant, variants } from '../backend/index.js'
import { type Power, powerOf } from '../host/index.js'
import { type AttachPoint, byName, type Places, pointKinds, pointOf, startFirst } from '../trace/index.js'

/** What a `Point` calls the kinds that can be tried: a sweep is an iterator, and needs a map. */
export type ProbedKind = Exclude<keyof typeof pointKinds, 'sweep'>

const hooks = variants.flatMap(({ hooks }) => hooks)

/** Those that some variant uses. */
export const kinds = (Object.keys(pointKinds) as ProbedKind[]).filter(kind => hooks.some(({ on }) => kind in on && pointOf(on).runs !== 'on request'))

/** What was read of a host and what its kernel answered. What could not be found out is undefined. */
export interface Host {
  /** Of the kernel, as `uname -r` has it. */
  readonly release: string | undefined
  readonly arch: string
  /** Bytes of the kernel's BTF; 0 where there is none, or why it cannot be read. */
  readonly btf: number | Error
  /** What is wrong with it, of which only a part or nothing can be used. */
  readonly damage: string | undefined
  readonly power: Power
  /** `kernel.unprivileged_bpf_disabled` */
  readonly unprivileged: number | undefined
  /** Where cgroup v2 is mounted first, and whether v1 is anywhere. */
  readonly cgroup: { readonly path: string | undefined; readonly old: boolean } | undefined
  /** Whether these namespaces are the host's own. */
  readonly isHosts: Readonly<Record<'net' | 'pid', boolean | undefined>>
  readonly hooks: Readonly<Record<ProbedKind, HookAnswer>>
  /** One for each backend. */
  readonly trials: readonly Trial[]
}

export interface HookAnswer {
  /** Points of this kind that this kernel has, and those that it lacks, though a variant of some backend cannot do without. */
  readonly has: readonly string[]
  readonly lacks: readonly string[]
  /** What came of a program that does nothing, at the first of them; undefined where there is none. */
  readonly answer: ProbeResult | undefined
}

/** What came of a whole start: what the backend then is, or why there is none. */
export interface Trial {
  readonly backend: string
  readonly variant?: Variant
  readonly error?: Error
}

/** What `auto` takes of what started: the first of all variants, as in their list. */
export function takenOf({ trials }: Host): Trial | undefined {
  return variants.flatMap(one => trials.find(({ variant }) => variant === one) ?? [])[0]
}

/** What is looked at. */
export interface HostAccess {
  readonly arch: string
  /** A file of the kernel; undefined when it cannot be read. */
  readText(path: string): string | undefined
  /** Where a link leads; undefined when that cannot be read. */
  readLink(path: string): string | undefined
  readBtf(): Uint8Array | undefined
  openKernel(): Kernel
  /** What is known of the kernel, as for a run. */
  facts(): Promise<Facts>
  /** The plans of a backend, as for a run. */
  plans(backend: string, facts: Facts): Iterable<Plan>
}

/** Checks a host. Needs no privileges: without them, what needs some is reported as refused. Everything it starts is ended at once. */
export async function lookAt({ arch, readText, readLink, readBtf, openKernel, facts: tell, plans }: HostAccess): Promise<Host> {
  // First, for it raises the limit of locked memory.
  const kernel = await attempt(openKernel)
  const btf = await attempt(() => readBtf()?.length ?? 0)
  const facts = await attempt(tell)
  const release = readText('/proc/sys/kernel/osrelease')?.trim()
  return {
    release,
    arch,
    btf,
    damage: facts instanceof Error ? (typeof btf === 'number' && btf > 0 ? facts.message : undefined) : facts.damage,
    power: powerOf(readText),
    unprivileged: numberIn(readText('/proc/sys/kernel/unprivileged_bpf_disabled')),
    cgroup: cgroupIn(readText('/proc/self/mounts')),
    isHosts: { net: isHosts('net', readLink, release), pid: isHosts('pid', readLink, release) },
    hooks: Object.fromEntries(kinds.map(kind => [kind, ask(kind, facts instanceof Error ? byName : facts, kernel)])) as Record<ProbedKind, HookAnswer>,
    trials: await Promise.all(backends.map(name => tryOut(name, async () => {
      const [able, known] = [valueOf(kernel), valueOf(facts)]
      return startFirst(plans(name, known), plan => startSession(plan, able).close()).candidate.variant
    }))),
  }
}

async function tryOut(backend: string, run: () => Promise<Variant>): Promise<Trial> {
  const variant = await attempt(run)
  return variant instanceof Error ? { backend, error: variant } : { backend, variant }
}

/** What comes of it, or why nothing does. Throws what is no refusal, but a mistake of the user's or of ours. */
async function attempt<T>(run: () => T | Promise<T>): Promise<T | Error> {
  try {
    return await run()
  } catch (error) {
    const refusals = [SyscallError, UnsupportedError, PlanError, BtfError]
    if (error instanceof Error && ('errno' in error || refusals.some(kind => error instanceof kind))) return error
    throw error
  }
}

function valueOf<T>(result: T | Error): T {
  if (result instanceof Error) throw result
  return result
}

/** Asks for one hook of a kind for all: which of the others there are is known without. */
function ask(kind: ProbedKind, places: Places, kernel: Kernel | Error): HookAnswer {
  const points = new Map<string, { readonly point: AttachPoint; optional: boolean }>()
  for (const { on, optional = false, part } of hooks.filter(({ on }) => kind in on)) {
    const point = pointOf(on)
    points.set(point.name, { point, optional: (optional || part !== undefined) && points.get(point.name)?.optional !== false })
  }
  const all = [...points.values()].map(({ point, optional }) => ({ point, optional, load: point.load(places) }))
  const has = all.flatMap(({ point, load }) => load === undefined ? [] : [{ point, load }])
  const [first] = has
  return {
    has: has.map(({ point }) => point.name),
    lacks: all.filter(({ load, optional }) => load === undefined && !optional).map(({ point }) => point.name),
    answer: first && (kernel instanceof Error ? { takes: undefined, error: kernel } : probeAt(first.point, first.load, kernel)),
  }
}

function numberIn(text: string | undefined): number | undefined {
  return text === undefined || !/^-?\d+\s*$/.test(text) ? undefined : Number(text)
}

function cgroupIn(mounts: string | undefined): Host['cgroup'] {
  return mounts === undefined ? undefined : { path: /^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1], old: /^\S+ \S+ cgroup /m.test(mounts) }
}

/** `PID_NS_INIT_INO` and, since Linux 6.18, `NET_NS_INIT_INO` (include/uapi/linux/nsfs.h): numbers that are given to no others. */
const first = { net: 'net:[4026531833]', pid: 'pid:[4026531836]' } as const

function isHosts(kind: keyof typeof first, readLink: HostAccess['readLink'], release: string | undefined): boolean | undefined {
  const own = readLink(`/proc/self/ns/${kind}`)
  if (own === undefined || own === first[kind]) return own === undefined ? undefined : true
  if (kind === 'pid' || (release !== undefined && !isBefore(release, '6.18'))) return false
  // Before, it is known from the host's first process, if that is visible.
  const other = isHosts('pid', readLink, release) ? readLink('/proc/1/ns/net') : undefined
  // Linux 5.10 gives an empty name of one that may not be seen.
  return other === undefined || other === '' ? undefined : own === other
}
