import { assemble, encode, exit, mov, r0 } from '../../bpf-asm/index.js'
import { type Kernel, SyscallError, UnsupportedError } from '../../syscall/index.js'
import { type AttachPoint, type Load, pointOf, startFirst } from '../trace/index.js'
import type { Plan } from './plan.js'

/** Whether a kernel takes programs at a point; `takes` is undefined when the error does not show it. */
export type ProbeResult =
  | { readonly takes: true }
  | { readonly takes: false | undefined; readonly error: Error }

/** With these the kernel says that it never will; with others, such as ENOMEM, that it cannot now. */
const final = ['EPERM', 'EACCES', 'EINVAL', 'ENOENT', 'ENOTSUPP', 'EOPNOTSUPP', 'ENOSYS']

/**
 * Whether the kernel takes programs at functions, if the plan has any: one that does nothing is attached there and detached again. That costs
 * little, where maps and programs of a plan that comes to nothing take longer than all the rest of a start. Undefined: only a start in full can show it.
 */
export function probe({ programs }: Plan, kernel: Kernel): ProbeResult | undefined {
  const program = programs.find(({ hook }) => pointOf(hook).func !== undefined)
  return program && probeAt(pointOf(program.hook), program, kernel)
}

/**
 * Starts the first of several plans that the kernel takes, which it is asked before each start. Throws the last one's error when the kernel
 * takes none.
 */
export function startBest<Started>(plans: Iterable<Plan>, kernel: Kernel, start: (plan: Plan) => Started): ReturnType<typeof startFirst<Plan, Started>> {
  return startFirst(plans, plan => {
    const result = probe(plan, kernel)
    if (result?.takes === false) throw result.error
    return start(plan)
  })
}

/** Whether it takes one that does nothing at this point, which it has. */
export function probeAt(point: AttachPoint, { type, attachType, btfId }: Load, kernel: Kernel): ProbeResult {
  try {
    const empty = kernel.loadProgram({
      name: 'tcptop_probe', type, license: 'GPL', insns: encode(assemble([mov(r0, 0), exit()])),
      ...(attachType === undefined ? {} : { expectedAttachType: attachType }),
      ...(btfId === undefined ? {} : { attachBtfId: btfId }),
    })
    try {
      point.attach(kernel, empty).close()
    } finally {
      empty.close()
    }
    return { takes: true }
  } catch (error) {
    if (error instanceof UnsupportedError || (error instanceof SyscallError && final.includes(error.code))) return { takes: false, error }
    if (error instanceof SyscallError) return { takes: undefined, error }
    throw error
  }
}
