import { assemble, type Assembly, type Code } from '../../bpf-asm/index.js'
import { UnsupportedError } from '../../syscall/index.js'
import { byName, type Load, loadAt, type Places, type Point, pointName } from './point.js'

/** A program, ready to be encoded. */
export interface ProgramPlan extends Load {
  /** At most 15 characters; the kernel's lists and our errors show it. */
  readonly name: string
  readonly hook: Point
  readonly assembly: Assembly
}

/**
 * A program for a point, which the kernel is asked for by `places`; without them only raw tracepoints and kprobes can be. Code that is yet to
 * be made is assembled when it is wanted first. Throws UnsupportedError when the kernel has no such point, AssemblyError for code that does
 * not hang together.
 */
export function programAt(name: string, on: Point, code: Code | (() => Code), places: Places = byName): ProgramPlan {
  const load = loadAt(on, places)
  if (load === undefined) throw new UnsupportedError(`this kernel has no ${pointName(on)}`)
  let assembly = typeof code === 'function' ? undefined : assemble(code)
  return {
    name,
    hook: on,
    ...load,
    get assembly() {
      return assembly ??= assemble(code)
    },
  }
}
