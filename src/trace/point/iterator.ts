import { type Places, type PointKind, tracing, words } from './point.js'

const load = (name: string) => (places: Places) => tracing('trace_iter', places.iterator(name))
const call = (name: string) => (places: Places) => words(() => places.func(`bpf_iter_${name}`))

/** All objects of a sort, such as sockets: a program runs over them once at the start. */
export const iterator: PointKind<{ readonly iterator: string }> = {
  title: 'iterators',
  needs: 'Linux 5.8 with BTF',
  at: ({ iterator: name }) => ({
    name: `iterator ${name}`,
    runs: 'at start',
    load: load(name),
    attach: (kernel, program) => kernel.attachIterator(program),
    call: call(name),
  }),
}

/** All entries of a map: a program runs over them whenever the tracer asks for it. */
export const sweep: PointKind<{ readonly sweep: string; readonly map: string }> = {
  title: 'sweeps',
  needs: 'Linux 5.9 with BTF',
  at: ({ sweep: name, map }) => ({
    name: `sweep of ${name}`,
    runs: 'on request',
    map,
    load: load(name),
    attach: (kernel, program, over) => kernel.attachIterator(program, over),
    call: call(name),
  }),
}
