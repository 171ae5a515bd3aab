import { makePlans, type Plan, PlanError, type Request } from '../../src/backend/plan.js'
import { probe } from '../../src/backend/probe.js'
import { type Session, type SessionOptions, startSession } from '../../src/backend/session.js'
import type { Facts } from '../../src/backend/facts.js'
import { type Kernel, VerifierError } from '../../syscall/index.js'

/** What ran while something was measured. */
export interface Ran {
  readonly backend: string
  /** The variant, by what it needs. */
  readonly variant: string
  readonly programs: readonly RanProgram[]
}

export interface RanProgram {
  readonly name: string
  /** Instruction slots as they were loaded, and after the verifier has rewritten them. */
  readonly loaded: number
  readonly rewritten: number
  /** Runs an event, where that was counted. */
  readonly runs?: number
}

/** A session of the plan that was meant. */
export interface Meant {
  readonly plan: Plan
  readonly session: Session
}

/**
 * Starts the first plan whose points this kernel takes programs at. Returns an Error where it has or takes none: there is nothing to measure.
 * Throws where the kernel refuses anything of that plan: the next one would be measured under its name.
 */
export function startMeant(request: Request, kernel: Kernel, facts: Facts, change: (plan: Plan) => Plan = plan => plan, options: SessionOptions = {}): Meant | Error {
  let none = new Error(`there is no backend ${request.backend}`)
  try {
    for (const plan of makePlans(request, facts)) {
      const result = probe(plan, kernel)
      if (result?.takes !== false) return startOrThrow(change(plan), kernel, options)
      none = result.error
    }
  } catch (error) {
    if (!(error instanceof PlanError)) throw error
    none = error
  }
  return none
}

function startOrThrow(plan: Plan, kernel: Kernel, options: SessionOptions): Meant {
  try {
    return { plan, session: startSession(plan, kernel, options) }
  } catch (cause) {
    const log = cause instanceof VerifierError ? `\n${cause.explanation}` : ''
    throw new Error(`${plan.variant.backend} is not measured: its variant that needs ${plan.variant.needs} was refused: ${(cause as Error).message}${log}`, { cause })
  }
}

/** Describes what runs; `runs` are those of an event, by program. */
export function ranOf({ plan, session }: Meant, runs?: readonly number[]): Ran {
  const programs = session.programs.map((program, index) => ({
    name: program.name,
    loaded: plan.programs[index]!.assembly.slots,
    rewritten: program.info().xlatedSize / 8,
    ...runs === undefined ? {} : { runs: runs[index]! },
  }))
  return { backend: plan.variant.backend, variant: plan.variant.needs, programs }
}

/** In one line, those that ran most first. */
export function ranText({ backend, variant, programs }: Ran): string {
  const sorted = [...programs].sort((one, other) => (other.runs ?? 0) - (one.runs ?? 0))
  const each = sorted.map(({ name, loaded, rewritten, runs }) =>
    `${name} ${loaded} (${rewritten})${runs === undefined ? '' : ` ${Number(runs.toFixed(3))} ×`}`)
  return `${backend}, the variant that needs ${variant}: ${each.join(', ')}`
}
