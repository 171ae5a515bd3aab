import type { PointKind } from './point.js'

/** Where arguments are: offsets of registers in `struct pt_regs` (arch/x86/include/asm/ptrace.h, arch/arm64/include/uapi/asm/ptrace.h). */
const registers: Readonly<Record<string, readonly number[]>> = {
  x64: [112, 104, 96, 88, 72, 64],
  arm64: [0, 8, 16, 24, 32, 40, 48, 56],
}

/**
 * Where a kprobe at the entry of a function finds its first argument, as an offset into `struct pt_regs`, by Node's name of the machine:
 * `di` on x64, `regs[0]` on arm64. Undefined for other machines.
 */
export function firstArgument(arch: string): number | undefined {
  return registers[arch]?.[0]
}

/** The entry of a function by its name, on kernels without BTF or ftrace too: its arguments are in the registers. */
export const kprobe: PointKind<{ readonly kprobe: string }> = {
  title: 'kprobes',
  needs: 'a kernel with CONFIG_KPROBE_EVENTS',
  at: ({ kprobe: func }) => ({
    name: `kprobe ${func}`,
    func,
    runs: 'at events',
    load: places => places.mayHaveFunction(func) ? { type: 'kprobe' } : undefined,
    attach: (kernel, program) => kernel.attachKprobe(program, func),
    call: (places, arch) => ({
      get func() {
        return places.func(func)
      },
      offset: position => registers[arch]?.[position],
      result: undefined,
    }),
  }),
}
