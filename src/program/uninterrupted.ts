import { callKfunc, type Code, exit, isExit, isList, type Kfunc, mov, note, r0, r1, r6 } from '../../bpf-asm/index.js'

/** Functions of the kernel since Linux 6.10 (commit fc7566ad0a82, "bpf: Introduce bpf_preempt_[disable,enable] kfuncs"). */
export interface Preemption {
  readonly disable: Kfunc
  readonly enable: Kfunc
}

/**
 * A program that is not preempted on its way. While it is, it is left out for all others on that processor (bpf_prog_inc_misses), and what
 * it would have seen of them shows later only, when nobody knows any more who did it. Tracing programs can be preempted where the kernel
 * itself can, and since Linux 7.0, which no longer switches preemption off around tracepoints, so can all others.
 * The program returns 0.
 */
export function uninterrupted(program: Code, { disable, enable }: Preemption): Code {
  const end: Code = [callKfunc(enable), mov(r0, 0), exit()]
  const withEnd = (part: Code): Code => isList(part) ? part.map(withEnd) : isExit(part) ? end : part
  return [mov(r6, r1), note('or others on this processor are left out', callKfunc(disable)), mov(r1, r6), withEnd(program)]
}
