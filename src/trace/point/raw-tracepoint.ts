import { type PointKind, words } from './point.js'

/** A tracepoint by its name, on kernels without BTF too: its arguments are mere numbers. */
export const rawTracepoint: PointKind<{ readonly rawTracepoint: string }> = {
  title: 'raw tracepoints',
  needs: 'a kernel with CONFIG_BPF_EVENTS',
  at: ({ rawTracepoint: name }) => ({
    name: `raw tracepoint ${name}`,
    runs: 'at events',
    load: places => places.mayHaveTracepoint(name) ? { type: 'raw_tracepoint' } : undefined,
    attach: (kernel, program) => kernel.attachRawTracepoint(program, name),
    call: places => words(() => places.btf?.tracepoint(name)),
  }),
}
