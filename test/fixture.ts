import { readdirSync, readFileSync } from 'node:fs'
import { type Btf, BtfError, parseBtf } from '../bpf-asm/index.js'
import { type Backend, backends } from '../src/backend/index.js'
import { factsOf } from '../src/facts.js'
import { makePlan, type Plan, PlanError } from '../src/plan.js'
import type { Filter } from '../src/program/index.js'

/** Up from dist/test/. */
const folder = new URL('../../test/fixture/btf/', import.meta.url)

/** The small BTFs that tools/btf-fixture.ts made, by the kernel's version and architecture. */
export const btfFixtures: readonly { readonly name: string; readonly bytes: Uint8Array }[] = readdirSync(folder)
  .filter(file => file.endsWith('.btf'))
  .sort()
  .map(file => ({ name: file.replace(/\.btf$/, ''), bytes: readFileSync(new URL(file, folder)) }))

/** Lets everything pass. */
export const noFilter: Filter = { pids: [], cgroup: false, cgroupIds: false, mntnsIds: false }

/** The plan of a backend for a kernel, or why there is none: it lacks a hook, or a field. */
export function planOf(btf: Btf, backend: string, filter: Partial<Filter> = {}): Plan | PlanError | BtfError {
  try {
    return makePlan({ backend, filter: { ...noFilter, ...filter }, maxFlows: 65_536 }, factsOf(btf))
  } catch (error) {
    if (error instanceof PlanError || error instanceof BtfError) return error
    throw error
  }
}

/** A backend on a kernel on which it is possible. */
export interface Possible {
  readonly fixture: string
  readonly bytes: Uint8Array
  readonly btf: Btf
  readonly backend: Backend
  readonly plan: Plan
}

/** All of them. */
export const possible: readonly Possible[] = btfFixtures.flatMap(({ name: fixture, bytes }) => {
  const btf = parseBtf(bytes)
  return backends.flatMap(backend => {
    const plan = planOf(btf, backend.name)
    return plan instanceof Error ? [] : [{ fixture, bytes, btf, backend, plan }]
  })
})

/** A kernel that has nothing of this name: no tracepoint, no function, no iterator. */
export function without(btf: Btf, ...names: readonly string[]): Btf {
  const gone = new Set(names.flatMap(name => [name, `btf_trace_${name}`, `bpf_iter_${name}`]))
  return {
    ...btf,
    func: name => gone.has(name) ? undefined : btf.func(name),
    typedef: name => gone.has(name) ? undefined : btf.typedef(name),
  }
}
