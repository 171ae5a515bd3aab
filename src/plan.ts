import { assemble, type Assembly, withoutPlaces } from '../bpf-asm/index.js'
import type { AttachType, MapSpec, ProgramType } from '../syscall/index.js'
import { type Backend, backends, type Hook, type Point, type Variant } from './backend/index.js'
import type { Facts } from './facts.js'
import { Key, Stat, Value } from './layout.js'
import { type Call, callOf, type Context, type Filter, mapName, uninterrupted } from './program/index.js'

/** What is asked of a plan. */
export interface Request {
  readonly backend: string
  readonly filter: Filter
  readonly maxFlows: number
  /** Whether instructions remember where they were emitted, for line information. A plan takes half as long again then. */
  readonly places?: boolean
}

/** A program, ready to be encoded. */
export interface ProgramPlan {
  readonly name: string
  readonly hook: Point
  /** What it is loaded as. */
  readonly type: ProgramType
  readonly attachType?: AttachType
  /** The BTF id that it is loaded and attached for, where it is found by that. */
  readonly btfId?: number
  readonly assembly: Assembly
}

/** Everything that will be given to the kernel, as data: it can be printed, compared and tested without privileges. */
export interface Plan {
  readonly backend: Backend
  readonly variant: Variant
  /** Maps to create. A socket storage's key and value types are described to the kernel when it is created. */
  readonly maps: readonly MapSpec[]
  /** In the order in which they are attached. */
  readonly programs: readonly ProgramPlan[]
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
export function* makePlans({ backend: wanted, filter, maxFlows, places = false }: Request, facts: Facts): Generator<Plan, void> {
  const passedOver: PassedOver[] = []
  let made = 0
  for (const backend of backends.filter(({ name }) => wanted === 'auto' || wanted === name)) {
    const reasons: string[] = []
    for (const variant of backend.variants) {
      const missing = missingFor(variant, facts)
      if (missing.length > 0) {
        reasons.push(`it needs ${variant.needs}; this kernel has no ${missing.join(', no ')}`)
        continue
      }
      const field = facts.field()
      const context: Context = { field, filter, access: variant.access(field), locked: variant.locked, calls: variant.calls }
      const emit = () => variant.hooks.flatMap(hook => program(hook, context, facts))
      const programs = places ? emit() : withoutPlaces(emit)
      made++
      yield { backend, variant, maps: maps(context, maxFlows), programs, passedOver: [...passedOver] }
    }
    if (reasons.length === backend.variants.length) passedOver.push({ backend: backend.name, reason: reasons.join('; or ') })
  }
  if (made === 0) throw new PlanError(passedOver.map(({ backend, reason }) => `backend ${backend}: ${reason}`).join('; '))
}

/** The first of `makePlans`. */
export function makePlan(request: Request, facts: Facts): Plan {
  const { value } = makePlans(request, facts).next()
  if (value === undefined) throw new PlanError(`there is no backend ${request.backend}`)
  return value
}

/** What a kernel lacks, in words. */
function missingFor({ hooks, helper }: Variant, facts: Facts): string[] {
  return [
    ...hooks.filter(({ on, optional }) => !optional && targetOf(on, facts) === undefined).map(({ on }) => hookName(on)),
    ...helper === undefined || facts.helper(helper) ? [] : [`helper bpf_${helper}`],
  ]
}

/** A hook as one reads it: `tracepoint sock_send_length`. */
export function hookName(on: Point): string {
  const [[kind, name] = []] = Object.entries(on)
  return `${kindNames[kind as keyof typeof kindNames]} ${name}`
}

const kindNames = {
  tracepoint: 'tracepoint', rawTracepoint: 'raw tracepoint', entry: 'entry of', exit: 'return of', kprobe: 'kprobe', iterator: 'iterator',
} as const

/** What a program at some point is loaded as, and how it sees what it is called with. */
interface Target extends Pick<ProgramPlan, 'type' | 'attachType' | 'btfId'> {
  readonly call: Call
  /** Whether it can be preempted in the middle of what others do: iterators run for nobody else, kprobes with preemption switched off. */
  readonly isPreemptible?: boolean
}

/** Undefined when the kernel has no such point. */
function targetOf(on: Point, facts: Facts): Target | undefined {
  const tracing = (attachType: AttachType, btfId: number | undefined, params: readonly string[] = []): Target | undefined =>
    btfId === undefined ? undefined : { type: 'tracing', attachType, btfId, call: callOf(params), isPreemptible: attachType !== 'trace_iter' }
  const func = (name: string, attachType: AttachType) => {
    const found = facts.func(name)
    return tracing(attachType, found?.id, found?.params.map(({ name }) => name))
  }
  if ('tracepoint' in on) return tracing('trace_raw_tp', facts.tracepoint(on.tracepoint))
  if ('iterator' in on) return tracing('trace_iter', facts.iterator(on.iterator))
  if ('entry' in on) return func(on.entry, 'trace_fentry')
  if ('exit' in on) return func(on.exit, 'trace_fexit')
  if ('rawTracepoint' in on) {
    return !facts.mayHaveTracepoint(on.rawTracepoint) ? undefined : { type: 'raw_tracepoint', call: callOf([]), isPreemptible: true }
  }
  if (facts.firstArgument === undefined || !facts.mayHaveFunction(on.kprobe)) return undefined
  return { type: 'kprobe', call: { ...callOf([]), first: facts.firstArgument } }
}

/** The program of a hook; none where the kernel lacks an optional point. */
function program({ program: name, on, code }: Hook, context: Context, facts: Facts): ProgramPlan[] {
  const target = targetOf(on, facts)
  if (target === undefined) return []
  const { call, isPreemptible, ...load } = target
  const body = code(context, call)
  const whole = isPreemptible && facts.preemption !== undefined ? uninterrupted(body, facts.preemption) : body
  return [{ name, hook: on, ...load, assembly: assemble(whole) }]
}

function maps({ filter, access: { sockets } }: Context, maxFlows: number): MapSpec[] {
  const own: MapSpec[] = [
    { name: mapName.flows, type: 'hash', keySize: Key.size, valueSize: Value.size, maxEntries: maxFlows },
    {
      name: mapName.sockets, type: sockets.type, keySize: sockets.keySize, valueSize: Value.pid, maxEntries: sockets.room(maxFlows),
      flags: sockets.flags,
    },
    { name: mapName.stats, type: 'array', keySize: 4, valueSize: Stat.size, maxEntries: 1 },
    { name: mapName.found, type: 'array', keySize: 4, valueSize: 8, maxEntries: 1 },
  ]
  return filter.cgroup ? [...own, { name: mapName.cgroup, type: 'cgroup_array', keySize: 4, valueSize: 4, maxEntries: 1 }] : own
}
