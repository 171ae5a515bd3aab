import { type PointKind, tracing, words } from './point.js'

/** A tracepoint whose arguments have types: programs follow their pointers without copying. Found in the kernel's BTF. */
export const tracepoint: PointKind<{ readonly tracepoint: string }> = {
  title: 'tracepoints',
  needs: 'Linux 5.5 with BTF',
  at: ({ tracepoint: name }) => ({
    name: `tracepoint ${name}`,
    runs: 'at events',
    load: places => tracing('trace_raw_tp', places.tracepoint(name)),
    attach: (kernel, program) => kernel.attachTracing(program),
    call: places => words(() => places.btf?.tracepoint(name)),
  }),
}
