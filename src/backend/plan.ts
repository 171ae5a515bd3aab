import type { MapSpec } from '../../syscall/index.js'
import { Key, Name, Stat, Value } from '../layout.js'
import {
  type Call, type Context, type Filter, keptNames, Known, mapName, pages, pocketsSize, renamesSize, wantedOf,
} from '../program/index.js'
import { pointName, pointOf, programAt, type ProgramPlan, type TracerPlan } from '../trace/index.js'
import type { Facts } from './facts.js'
import { type Hook, of5_12, type Part, type Variant } from './variant.js'
import { backends, variants } from './variants.js'

/** What is asked of a plan. */
export interface Request {
  readonly backend: string
  readonly filter: Filter
  readonly maxFlows: number
}

/** Everything that will be given to the kernel, as data: it can be printed, compared and tested without privileges. */
export interface Plan extends TracerPlan {
  readonly variant: Variant
  /** Whether a kernel that counts skipped runs (since 5.12) counts those of all these programs. */
  readonly countsMisses: boolean
  /** The keys of `mapName.wanted`; none where the programs need no such map. */
  readonly wantedPids: readonly number[]
  /** Preferred backends that cannot be taken here. */
  readonly passedOver: readonly PassedOver[]
}

/** A backend that was not taken, and why. */
export interface PassedOver {
  readonly backend: string
  readonly reason: string
}

/** No backend can do what is asked; the message says why. */
export class PlanError extends Error {
  override readonly name = 'PlanError'
}

/**
 * The plans of the backend that is asked for, or for `auto` those of all that this kernel seems to have what they need for, the
 * preferred one first, each made when it is asked for. Pure. Throws PlanError in place of the first when there is none.
 */
export function* makePlans({ backend: wanted, filter, maxFlows }: Request, facts: Facts): Generator<Plan, void> {
  const candidates = variants.filter(({ backend }) => wanted === 'auto' || wanted === backend)
    .map(variant => ({ variant, missing: missingFor(variant, facts) }))
  if (candidates.length === 0) throw new PlanError(`there is no backend ${wanted}`)
  const impossible = backends.flatMap((name): PassedOver[] => {
    const own = candidates.filter(({ variant }) => variant.backend === name)
    if (own.length === 0 || own.some(({ missing }) => missing.length === 0)) return []
    const reasons = own.map(({ variant, missing }) => `it needs ${variant.needs}; this kernel has no ${missing.join(', no ')}`)
    return [{ backend: name, reason: reasons.join('; or ') }]
  })
  const possible = candidates.filter(({ missing }) => missing.length === 0)
  if (possible.length === 0) throw new PlanError(impossible.map(({ backend, reason }) => `backend ${backend}: ${reason}`).join('; '))
  for (const { variant } of possible) {
    const field = facts.field()
    const mayCopy = facts.mayCopy ?? true
    const part = (wanted: Part) => hasPart(wanted, variant, facts)
    const names = part('names')
    const has = { names, pockets: names && part('pockets'), audit: part('audit'), mptcp: field.mptcp !== undefined && (mayCopy || field.mptcp.unread === undefined) && part('mptcp') }
    const context: Context = {
      field, filter, access: variant.access(field, facts.cast), locked: variant.locked, calls: variant.calls, pocket: has.pockets, audited: has.audit,
      mptcp: has.mptcp ? field.mptcp : undefined, mayCopy,
    }
    const programs = variant.hooks.filter(({ part, without }) => (part === undefined || has[part]) && (without === undefined || !has[without])).flatMap(hook => program(hook, context, facts))
    const preferred = variants.slice(0, variants.indexOf(variant)).map(({ backend }) => backend)
    const passedOver = impossible.filter(({ backend }) => preferred.includes(backend))
    const countsMisses = facts.countsKprobeMisses || programs.every(({ type }) => type !== 'kprobe')
    yield { variant, maps: maps(context, maxFlows, names), programs, countsMisses, wantedPids: wantedOf(filter), passedOver }
  }
}

/** The first of `makePlans`. */
export function makePlan(request: Request, facts: Facts): Plan {
  // It throws where there is none.
  return makePlans(request, facts).next().value as Plan
}

/** What a kernel lacks, in words. */
function missingFor({ hooks, helper, casts }: Variant, facts: Facts): string[] {
  return [
    ...hooks.filter(hook => !hook.optional && hook.part === undefined && callAt(hook, facts) === undefined).map(({ on }) => pointName(on)),
    ...helper === undefined || facts.helper(helper) ? [] : [`helper bpf_${helper}`],
    ...casts && facts.cast === undefined ? ['function bpf_rdonly_cast'] : [],
  ]
}

/** Whether a variant of which this kernel has the rest may have a part. All but names need what came with Linux 5.12. */
function hasPart(wanted: Part, { hooks }: Variant, facts: Facts): boolean {
  const needed = hooks.filter(({ part, optional }) => part === wanted && !optional)
  // Where there is no cast, they copy what they read.
  if (facts.mayCopy === false && facts.cast === undefined && (wanted === 'audit' || wanted === 'mptcp')) return false
  return needed.length > 0 && (wanted === 'names' || facts.helper(of5_12)) && needed.every(hook => callAt(hook, facts) !== undefined)
}

/** How the program of a hook sees what it is called with; undefined when the kernel has no such point, or not what the program calls there. */
function callAt({ on, helper }: Hook, facts: Facts): Call | undefined {
  const point = pointOf(on)
  if (point.load(facts) === undefined || (helper !== undefined && !facts.helper(helper))) return undefined
  const signature = point.call(facts, facts.arch)
  const first = signature.offset(0)
  if (first === undefined) return undefined
  return {
    first,
    argument: name => {
      const position = signature.func?.params.findIndex(param => param.name === name) ?? -1
      return position < 0 ? undefined : signature.offset(position)
    },
    get result() {
      const { result } = signature
      if (result === undefined) throw new Error(`there is no result at ${point.name}`)
      return result
    },
  }
}

/** The program of a hook; none where the kernel lacks an optional point. */
function program(hook: Hook, context: Context, facts: Facts): ProgramPlan[] {
  const { program: name, on, code } = hook
  const call = callAt(hook, facts)
  return call === undefined ? [] : [programAt(name, on, () => code(context, call), facts)]
}

function maps({ filter, pocket, audited, mptcp, access: { sockets, mptcp: apart, textFormat: constant } }: Context, maxFlows: number, keepsNames: boolean): MapSpec[] {
  const own: MapSpec[] = [
    { name: mapName.flows, type: 'hash', keySize: Key.size, valueSize: Value.size, maxEntries: maxFlows },
    {
      name: mapName.sockets, type: sockets.type, keySize: sockets.keySize, valueSize: Value.pid, maxEntries: sockets.room(maxFlows), flags: sockets.flags,
    },
    { name: mapName.stats, type: 'array', keySize: 4, valueSize: Stat.size, maxEntries: 1 },
    { name: mapName.known, type: 'array', keySize: 4, valueSize: Known.size, maxEntries: 1 },
  ]
  const wanted = wantedOf(filter).length
  return [
    ...own,
    ...mptcp === undefined || apart === undefined ? [] : [{
      name: mapName.mptcpSockets, type: apart.sockets.type, keySize: apart.sockets.keySize, valueSize: Value.pid, maxEntries: apart.sockets.room(maxFlows),
    }],
    ...pocket ? [
      { name: mapName.pockets, type: 'array', keySize: 4, valueSize: pocketsSize, maxEntries: 1 },
      { name: mapName.pages, type: 'array', keySize: 4, valueSize: 4, maxEntries: pages },
      { name: mapName.renames, type: 'array', keySize: 4, valueSize: renamesSize, maxEntries: 1 },
    ] as const : [],
    ...keepsNames ? [{ name: mapName.names, type: 'lru_hash', keySize: 4, valueSize: Name.size, maxEntries: keptNames }] as const : [],
    ...keepsNames && constant !== undefined ? [
      { name: mapName.text, type: 'array', keySize: 4, valueSize: constant.length, maxEntries: 1, constant },
    ] as const : [],
    // Calls under way when the programs are attached: what is beyond that is found by the audit of all.
    ...audited ? [{ name: mapName.unsettled, type: 'hash', keySize: Key.size, valueSize: 8, maxEntries: 4096 }] as const : [],
    ...filter.cgroup ? [{ name: mapName.cgroup, type: 'cgroup_array', keySize: 4, valueSize: 4, maxEntries: 1 }] as const : [],
    ...wanted > 0 ? [{ name: mapName.wanted, type: 'hash', keySize: 4, valueSize: 1, maxEntries: wanted }] as const : [],
    // Ids of processes are used again, and what is noted last is true.
    ...filter.pidNamespace ? [{ name: mapName.pids, type: 'lru_hash', keySize: 4, valueSize: 4, maxEntries: maxFlows }] as const : [],
  ]
}
