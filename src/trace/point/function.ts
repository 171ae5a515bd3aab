import { type PointKind, tracing, words } from './point.js'

const needs = 'Linux 5.5 with BTF and ftrace (CONFIG_FUNCTION_TRACER), on arm64 6.4'

/** The entry of a function, by ftrace. Its arguments have types. */
export const entry: PointKind<{ readonly entry: string }> = {
  title: 'fentry',
  needs,
  at: ({ entry: func }) => ({
    name: `entry of ${func}`,
    func,
    runs: 'at events',
    load: places => tracing('trace_fentry', places.func(func)?.id),
    attach: (kernel, program) => kernel.attachTracing(program),
    call: places => words(() => places.func(func)),
  }),
}

/** The return of a function, with its arguments and its result. */
export const exit: PointKind<{ readonly exit: string }> = {
  title: 'fexit',
  needs,
  at: ({ exit: func }) => ({
    name: `return of ${func}`,
    func,
    runs: 'at events',
    load: places => tracing('trace_fexit', places.func(func)?.id),
    attach: (kernel, program) => kernel.attachTracing(program),
    call: places => words(() => places.func(func), true),
  }),
}
