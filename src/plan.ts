import { assemble, type Assembly, type Code } from '../bpf-asm/index.js'
import type { MapSpec } from '../syscall/index.js'
import { type Backend, backends, type Hook } from './backend/index.js'
import type { Facts } from './facts.js'
import { Key, Stat, Value } from './layout.js'
import { type Context, fieldsOf, type Filter, mapName } from './program/index.js'

/** What is asked of a plan. */
export interface Request {
  readonly backend: string
  readonly filter: Filter
  readonly maxFlows: number
}

/** A program, ready to be encoded. */
export interface ProgramPlan {
  readonly name: string
  readonly hook: Hook['on']
  /** The BTF id that it is loaded and attached for. */
  readonly btfId: number
  readonly assembly: Assembly
}

/** Everything that will be given to the kernel, as data: it can be printed, compared and tested without privileges. */
export interface Plan {
  readonly backend: Backend
  /** Maps to create. A socket storage's key and value types are described to the kernel when it is created. */
  readonly maps: readonly MapSpec[]
  /** In the order in which they are attached. */
  readonly programs: readonly ProgramPlan[]
  /** Backends that were not taken, and why. */
  readonly passedOver: readonly { readonly backend: string; readonly reason: string }[]
}

/** No backend can do what is asked; the message says why. */
export class PlanError extends Error {
  override readonly name = 'PlanError'
}

/**
 * Picks the backend and assembles its programs for this kernel and these options. Pure.
 * Throws PlanError when the backend that is asked for, or every one for `auto`, lacks something; BtfError when a field is missing.
 */
export function makePlan({ backend: wanted, filter, maxFlows }: Request, facts: Facts): Plan {
  const candidates = backends.filter(({ name }) => wanted === 'auto' || wanted === name)
  const passedOver: Plan['passedOver'][number][] = []
  for (const backend of candidates) {
    const missing = backend.hooks.filter(({ on }) => btfId(on, facts) === undefined).map(({ on }) => hookName(on))
    if (missing.length > 0) {
      passedOver.push({ backend: backend.name, reason: `it needs ${backend.needs}; this kernel has no ${missing.join(', no ')}` })
      continue
    }
    const context: Context = { field: fieldsOf(facts.btf), filter }
    return { backend, maps: maps(filter, maxFlows), programs: backend.hooks.map(hook => program(hook, context, facts)), passedOver }
  }
  throw new PlanError(passedOver.map(({ backend, reason }) => `backend ${backend}: ${reason}`).join('; '))
}

/** A hook as one reads it: `tracepoint sock_send_length`. */
export function hookName(on: Hook['on']): string {
  return 'tracepoint' in on ? `tracepoint ${on.tracepoint}` : `iterator ${on.iterator}`
}

function btfId(on: Hook['on'], facts: Facts): number | undefined {
  return 'tracepoint' in on ? facts.tracepoint(on.tracepoint) : facts.iterator(on.iterator)
}

function program({ program: name, on, code }: Hook, context: Context, facts: Facts): ProgramPlan {
  return { name, hook: on, btfId: btfId(on, facts)!, assembly: assemble(code(context) satisfies Code) }
}

function maps(filter: Filter, maxFlows: number): MapSpec[] {
  /** Socket storage is not preallocated (`BPF_F_NO_PREALLOC` is obligatory). */
  const noPrealloc = 1
  const own: MapSpec[] = [
    { name: mapName.flows, type: 'hash', keySize: Key.size, valueSize: Value.size, maxEntries: maxFlows },
    { name: mapName.overflow, type: 'sk_storage', keySize: 4, valueSize: Value.pid, maxEntries: 0, flags: noPrealloc },
    { name: mapName.stats, type: 'array', keySize: 4, valueSize: Stat.size, maxEntries: 1 },
  ]
  return filter.cgroup ? [...own, { name: mapName.cgroup, type: 'cgroup_array', keySize: 4, valueSize: 4, maxEntries: 1 }] : own
}
