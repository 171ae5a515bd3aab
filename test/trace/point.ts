import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseBtf } from '../../bpf-asm/index.js'
import { byName, firstArgument, placesOf, type Point, pointKinds, pointOf } from '../../src/trace/index.js'
import { linkCreate } from '../../syscall/uapi.js'
import { blob, int, Kind, prototype, refer } from '../kit/blob.js'
import { fakeKernel, numberOf, openFake } from '../kit/fake.js'

/** A kernel with one point of each kind. */
const places = placesOf(parseBtf(blob(
  int('int', 4), prototype(1, ['sk', 1], ['how', 1]), refer(Kind.func, 2, 'tcp_done'), refer(Kind.func, 2, 'bpf_iter_tcp'), refer(Kind.func, 2, 'bpf_iter_bpf_map_elem'),
  prototype(0, ['', 1], ['', 1]), refer(Kind.ptr, 6), refer(Kind.typedef, 7, 'btf_trace_tcp_probe'),
)))

/** Of each kind: a point, its name, what a program is loaded as, the call of the kernel that attaches it, and when it runs. */
const table: readonly (readonly [on: Point, name: string, load: object, call: string, runs: string])[] = [
  [{ tracepoint: 'tcp_probe' }, 'tracepoint tcp_probe', { type: 'tracing', attachType: 'trace_raw_tp', btfId: 8 }, 'RAW_TRACEPOINT_OPEN', 'at events'],
  [{ rawTracepoint: 'tcp_probe' }, 'raw tracepoint tcp_probe', { type: 'raw_tracepoint' }, 'RAW_TRACEPOINT_OPEN', 'at events'],
  [{ iterator: 'tcp' }, 'iterator tcp', { type: 'tracing', attachType: 'trace_iter', btfId: 4 }, 'LINK_CREATE', 'at start'],
  [{ entry: 'tcp_done' }, 'entry of tcp_done', { type: 'tracing', attachType: 'trace_fentry', btfId: 3 }, 'RAW_TRACEPOINT_OPEN', 'at events'],
  [{ exit: 'tcp_done' }, 'return of tcp_done', { type: 'tracing', attachType: 'trace_fexit', btfId: 3 }, 'RAW_TRACEPOINT_OPEN', 'at events'],
  [{ kprobe: 'tcp_done' }, 'kprobe tcp_done', { type: 'kprobe' }, 'perf_event_open', 'at events'],
  [{ sweep: 'bpf_map_elem', map: 'flows' }, 'sweep of bpf_map_elem', { type: 'tracing', attachType: 'trace_iter', btfId: 5 }, 'LINK_CREATE', 'on request'],
]

test('there is a row of the table for every kind', () => {
  assert.equal(table.map(([on]) => Object.keys(on)[0]), Object.keys(pointKinds))
})

for (const [on, name, load, call, runs] of table) {
  const point = pointOf(on)
  test(`${name} is loaded and attached as what it is, where the kernel has it`, () => {
    assert.equal([point.name, point.load(places), point.runs], [name, load, runs])
    const { native, calls } = fakeKernel()
    const kernel = openFake(native)
    const program = kernel.loadProgram({ name: 'it', type: 'raw_tracepoint', license: 'GPL', insns: new Uint8Array(16) })
    const before = calls.length
    point.attach(kernel, program).close()
    program.close()
    assert.ok(calls.slice(before).some(({ name }) => name === call), calls.map(({ name }) => name).join())
    assert.is(kernel.open, 0)
    const gone = Object.fromEntries(Object.entries(on).map(([kind, name]) => [kind, kind === 'map' ? name : 'no_such'])) as Point
    assert.is(pointOf(gone).load(places), undefined)
  })

  test(`${name} is found without BTF only if that is by its name`, () => {
    assert.equal(point.load(byName), name.startsWith('raw') || name.startsWith('kprobe') ? load : undefined)
  })

  test(`${name}: what is at a function says so, and only a return has a result`, () => {
    const { func, result, offset } = point.call(places, 'x64')
    assert.is(point.func, 'entry' in on || 'exit' in on || 'kprobe' in on ? 'tcp_done' : undefined)
    assert.is(func?.params.length, name.includes('tracepoint') ? 1 : 2)
    assert.is(result, 'exit' in on ? 16 : undefined)
    assert.equal([offset(0), offset(1)], 'kprobe' in on ? [112, 104] : [0, 8])
  })
}

test('a sweep runs over the map that it names', () => {
  const { native, calls } = fakeKernel()
  const kernel = openFake(native)
  const program = kernel.loadProgram({ name: 'it', type: 'tracing', license: 'GPL', insns: new Uint8Array(16) })
  const map = kernel.createMap({ name: 'flows', type: 'hash', keySize: 4, valueSize: 4, maxEntries: 1 })
  const point = pointOf({ sweep: 'bpf_map_elem', map: 'flows' })
  if (point.runs !== 'on request') throw new Error(point.runs)
  assert.is(point.map, 'flows')
  for (const over of [undefined, map]) point.attach(kernel, program, over)
  assert.equal(calls.filter(({ name }) => name === 'LINK_CREATE').map(call => numberOf(call, linkCreate, 'iter_info_len')), [0, 4])
})

test('where arguments are in registers depends on the machine, and is not known of all', () => {
  // `r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di` of 8 bytes each
  assert.equal(['x64', 'arm64', 'mips'].map(firstArgument), [14 * 8, 0, undefined])
  const { offset } = pointOf({ kprobe: 'tcp_done' }).call(byName, 'arm64')
  assert.equal([offset(0), offset(7), offset(8)], [0, 56, undefined])
})

test('what means no point is refused', () => {
  assert.throws(() => pointOf({ tracpoint: 'tcp_probe' } as never), /^no kind of attach point: {"tracpoint":"tcp_probe"}; there are tracepoint, /)
})

test.run()
