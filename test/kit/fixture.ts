import { readdirSync, readFileSync } from 'node:fs'
import { type Btf, BtfError, parseBtf } from '../../bpf-asm/index.js'
import { factsOf } from '../../src/backend/facts.js'
import { backends, type Variant, variants } from '../../src/backend/index.js'
import { makePlan, makePlans, type Plan, PlanError } from '../../src/backend/plan.js'
import type { Filter } from '../../src/program/index.js'

/** Up from dist/test/kit/. */
const folder = new URL('../../../test/fixture/btf/', import.meta.url)

/** What plans are made for: a kernel, and the machine it is for, by Node's name. */
export interface Platform {
  readonly btf: Btf
  readonly arch: string
}

/** A small BTF that tools/btf-fixture.ts made. */
export interface BtfFixture extends Platform {
  /** The kernel's version and architecture, as `6.1-arm64`. */
  readonly name: string
  readonly bytes: Uint8Array
}

/** All of them. */
export const btfFixtures: readonly BtfFixture[] = readdirSync(folder)
  .filter(file => file.endsWith('.btf'))
  .sort()
  .map(file => {
    const name = file.replace(/\.btf$/, '')
    const bytes = readFileSync(new URL(file, folder))
    return { name, bytes, btf: parseBtf(bytes), arch: archOf(name) }
  })

function archOf(name: string): string {
  const [, arch = ''] = name.split('-')
  return arch === 'x86_64' ? 'x64' : arch
}

/** Lets everything pass. */
export const noFilter: Filter = { pids: [], cgroup: false, cgroupIds: false, mntnsIds: false }

const request = (backend: string, filter: Partial<Filter>) => ({ backend, filter: { ...noFilter, ...filter }, maxFlows: 65_536 })

/** Of a kernel that lacks a hook, or a field, the error that says so. */
function orWhyNot<T>(make: () => T): T | PlanError | BtfError {
  try {
    return make()
  } catch (error) {
    if (error instanceof PlanError || error instanceof BtfError) return error
    throw error
  }
}

/** The plan of a backend for a kernel, or why there is none. */
export function planOf({ btf, arch }: Platform, backend: string, filter: Partial<Filter> = {}): Plan | PlanError | BtfError {
  return orWhyNot(() => makePlan(request(backend, filter), factsOf(btf, arch)))
}

/** The plans of all of its variants that are possible, or why there is none. */
export function plansOf({ btf, arch }: Platform, backend: string, filter: Partial<Filter> = {}): readonly Plan[] | PlanError | BtfError {
  return orWhyNot(() => [...makePlans(request(backend, filter), factsOf(btf, arch))])
}

/** A variant of a backend on a kernel on which it is possible. */
export interface Possible extends Platform {
  readonly fixture: string
  readonly bytes: Uint8Array
  readonly backend: string
  /** How the titles of tests tell it from others. */
  readonly title: string
  readonly plan: Plan
  /** The plan for a filter. */
  planWith(filter: Partial<Filter>): Plan
}

/** All of them. */
export const possible: readonly Possible[] = btfFixtures.flatMap(machine => {
  const { name: fixture, bytes, btf, arch } = machine
  return backends.flatMap(backend => {
    const plans = plansOf(machine, backend)
    if (plans instanceof Error) return []
    return plans.map(plan => {
      return {
        fixture, bytes, btf, arch, backend, plan, title: `${titleOf(plan.variant)} on ${fixture}`,
        planWith: filter => planOfVariant(machine, plan, filter),
      } satisfies Possible
    })
  })
})

/** The name of its backend, and where that has several its number among them. */
export function titleOf(variant: Variant): string {
  const all = variants.filter(({ backend }) => backend === variant.backend)
  return all.length > 1 ? `${variant.backend} ${all.indexOf(variant) + 1}` : variant.backend
}

function planOfVariant(machine: Platform, { variant }: Plan, filter: Partial<Filter>): Plan {
  const plans = plansOf(machine, variant.backend, filter)
  if (plans instanceof Error) throw plans
  return plans.find(plan => plan.variant === variant)!
}

/** Of kernels on which the same variant has the same hooks the first: the others differ in offsets alone. */
export const distinct: readonly Possible[] = [...new Map(possible.map(one => {
  const { variant, programs } = one.plan
  return [[variants.indexOf(variant), ...programs.map(({ name }) => name)].join(), one] as const
}).reverse()).values()].reverse()

/** A kernel that has nothing of this name: no tracepoint, no function, no iterator, no helper. */
export function without<M extends Platform>(machine: M, ...names: readonly string[]): M {
  const { btf } = machine
  const gone = new Set(names.flatMap(name => [name, `btf_trace_${name}`, `bpf_iter_${name}`, `BPF_FUNC_${name}`]))
  return {
    ...machine,
    btf: {
      ...btf,
      func: name => gone.has(name) ? undefined : btf.func(name),
      typedef: name => gone.has(name) ? undefined : btf.typedef(name),
      enumValue: (of, name) => gone.has(name) ? undefined : btf.enumValue(of, name),
    },
  }
}
