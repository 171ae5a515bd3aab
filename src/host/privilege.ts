import { type Kernel, SyscallError } from '../../syscall/index.js'

/** Bits of include/uapi/linux/capability.h. */
export const capability = { CAP_SYS_ADMIN: 21n, CAP_SYS_RESOURCE: 24n, CAP_PERFMON: 38n, CAP_BPF: 39n } as const
export type Capability = keyof typeof capability

/** What programs take to be loaded and attached, from Linux 5.11 on: the advice, the recipes and their tests have it from here. */
export const needed = ['CAP_BPF', 'CAP_PERFMON'] as const satisfies readonly Capability[]

/**
 * Gives up for good all capabilities that are no longer needed, and returns one line about the result. `use` is what is still to be
 * done with maps: before Linux 5.19 every bpf() takes CAP_BPF while kernel.unprivileged_bpf_disabled is set, afterwards a descriptor is
 * enough. So it is tried with the capability permitted and not in effect, and then either taken back or given up.
 *
 * Capabilities are a thread's own. The main thread makes all calls that need any; but an attacker who takes over the process could use another
 * thread's, so the others give up theirs too. Each has to do that itself, asked by a signal.
 */
export function giveUp(kernel: Kernel, use: () => void, threads: readonly number[] | undefined): string {
  try {
    const kept = giveUpOwn(kernel, use)
    if (kept === undefined) return 'no capabilities are given up: neither CAP_BPF nor CAP_SYS_ADMIN is there'
    const left = threads === undefined ? undefined : threads.length - askAll(kernel, threads)
    const own = kept === 'none' ? 'gave up all capabilities' : `gave up all capabilities but ${kept}, which this kernel wants for reading maps`
    if (left === undefined) return `${own}, in the main thread alone: without /proc it knows no others`
    return left === 0 ? own : `${own}; ${left === 1 ? 'a thread that did not answer keeps' : `${left} threads that did not answer keep`} them`
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error
    return `capabilities are not given up: ${error.message}`
  }
}

/** How many of them have given up theirs. */
function askAll(kernel: Kernel, ids: readonly number[]): number {
  return ids.length === 0 ? 0 : kernel.setCapabilities(0n, 0n, ids)
}

function giveUpOwn(kernel: Kernel, use: () => void): 'none' | Capability | undefined {
  for (const name of ['CAP_BPF', 'CAP_SYS_ADMIN'] as const) {
    const bit = 1n << capability[name]
    try {
      kernel.setCapabilities(0n, bit)
    } catch (error) {
      // Nobody can permit himself what he has not.
      if (error instanceof SyscallError && error.code === 'EPERM') continue
      throw error
    }
    try {
      use()
    } catch (error) {
      kernel.setCapabilities(bit, bit)
      if (error instanceof SyscallError && error.code === 'EPERM') return name
      throw error
    }
    kernel.setCapabilities(0n, 0n)
    return 'none'
  }
  return undefined
}
