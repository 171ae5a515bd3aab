import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add, assemble, type Assembly, call, encode, exit, interpret, jeq, label, list, load, loadMap, MapModel, mov, note, r0, r1, r2, r3,
  r4, r5, r6, r10, store,
} from '../../bpf-asm/index.js'
import { type Kernel, openKernel, SyscallError } from '../../syscall/index.js'
import { loadProgram } from '../../syscall/prog.js'
import { progTest } from '../../syscall/uapi.js'
import { contextSize, outcome, runnable, trickyNumber } from '../kit/runnable.js'
import { unless, whyUnprivileged } from '../kit/privilege.js'
import { Random } from '../kit/random.js'
import { isAtLeast } from '../kit/release.js'
import { bufferOf, fakeKernel, numberOf, putField } from '../kit/fake.js'

const spec = { name: 'tried', type: 'raw_tracepoint', insns: new Uint8Array(16), license: 'GPL' } as const

test('a test run gets its input and returns its result', () => {
  const { descriptors, calls } = fakeKernel(call => {
    if (call.name !== 'PROG_TEST_RUN' && call.name !== 'PROG_RUN') return
    putField(call, progTest, 'retval', 0xffff_fffe)
    putField(call, progTest, 'duration', 77)
    putField(call, progTest, 'data_size_out', 2)
    bufferOf(call, progTest, 'data_out')!.set([8, 9])
  })
  const context = Uint8Array.of(1, 2, 3)
  const packet = new Uint8Array(14)
  const program = loadProgram(descriptors, spec)
  assert.equal(program.run({ context, packet, repeat: 5 }), { result: 0xffff_fffe, packet: Uint8Array.of(8, 9), nanoseconds: 77 })
  const call = calls.at(-1)!
  const field = (name: keyof typeof progTest.fields) => numberOf(call, progTest, name)
  assert.equal([field('prog_fd'), field('ctx_size_in'), field('data_size_in'), field('repeat')], [program.fd, 3, 14, 5])
  assert.is(bufferOf(call, progTest, 'ctx_in'), context)
  assert.is(bufferOf(call, progTest, 'data_in'), packet)
  assert.ok(field('data_size_out') >= packet.length)
})

test('a type of program that the kernel does not run so is an error', () => {
  const { descriptors } = fakeKernel(({ name }) => name === 'PROG_TEST_RUN' || name === 'PROG_RUN' ? -524 : undefined)
  const program = loadProgram(descriptors, spec)
  try {
    program.run({})
    assert.unreachable()
  } catch (error) {
    assert.instance(error, SyscallError)
    assert.is((error as SyscallError).message, 'bpf(BPF_PROG_TEST_RUN): ENOTSUPP')
  }
})

const reason = whyUnprivileged()
const live = (title: string, run: (kernel: Kernel) => void) => test(title, unless(reason, title, () => {
  const kernel = openKernel()
  run(kernel)
  assert.is(kernel.open, 0, 'descriptors left open')
}))

live('a raw tracepoint program sees the arguments it is given', kernel => {
  const insns = encode(assemble([load(r0, 'u64', r1, 0), load(r2, 'u64', r1, 8), add(r0, r2), exit()]))
  const program = kernel.loadProgram({ ...spec, insns })
  const context = new Uint8Array(BigUint64Array.of(40n, 2n).buffer)
  assert.is(program.run({ context }).result, 42)
  assert.throws(() => program.run({ context: context.subarray(0, 8) }), /^bpf\(BPF_PROG_TEST_RUN\): EINVAL$/)
  program.close()
})

live('a program that sees packets gets one, may change it, and is timed', kernel => {
  // The first byte of the payload: BPF_SKB_STORE_BYTES takes it from the stack.
  const code = [
    mov(r6, r1),
    store('u8', r10, -1, 0x2a),
    mov(r2, 14),
    mov(r3, r10),
    add(r3, -1),
    mov(r4, 1),
    note('flags', mov(r5, 0)),
    call('skb_store_bytes'),
    load(r0, 'u32', r6, 0),
    exit(),
  ]
  const program = kernel.loadProgram({ ...spec, type: 'sched_cls', insns: encode(assemble(code)) })
  const packet = Uint8Array.from({ length: 64 }, (_, index) => index)
  const { result, packet: changed, nanoseconds } = program.run({ packet, repeat: 100 })
  assert.is(result, 64)
  assert.equal(changed, Uint8Array.from(packet, (byte, index) => index === 14 ? 0x2a : byte))
  assert.ok(nanoseconds > 0)
  program.close()
})

live('a kprobe program cannot be run so', kernel => {
  const program = kernel.loadProgram({ ...spec, type: 'kprobe', insns: encode(assemble([mov(r0, 0), exit()])) })
  assert.throws(() => program.run({}), /^bpf\(BPF_PROG_TEST_RUN\): ENOTSUPP$/)
  program.close()
})

/** What a program leaves in the map, by the kernel and by the interpreter, as lines. */
function both(kernel: Kernel, assembly: Assembly, context: Uint8Array): readonly [string[], string[]] {
  const map = kernel.createMap(outcome)
  const program = kernel.loadProgram({ ...spec, insns: encode(assembly, { [outcome.name]: map.fd }), notes: assembly.notes })
  program.run({ context })
  const theirs = lines(map.lookup(new Uint8Array(4))!)
  program.close()
  map.close()
  const model = new MapModel(outcome)
  interpret(assembly, { context, maps: [model] })
  return [theirs, lines(model.lookup(new Uint8Array(4))!)]
}

function lines(value: Uint8Array): string[] {
  const words = new BigUint64Array(value.slice().buffer)
  return Array.from(words, (word, index) => `${index < 8 ? `*(u64 *)(r10 -${8 * (index + 1)})` : `r${index - 8}`} 0x${word.toString(16)}`)
}

live('the kernel and the interpreter agree on random programs', kernel => {
  const random = new Random()
  random.repeat(150, () => {
    const assembly = assemble(runnable(random, 5, isAtLeast))
    for (let time = 0; time < 3; time++) {
      const context = new Uint8Array(contextSize)
      for (let at = 0; at < contextSize; at += 8) new DataView(context.buffer).setBigUint64(at, trickyNumber(random), true)
      const [theirs, ours] = both(kernel, assembly, context)
      assert.equal(ours, theirs, list(assembly).join('\n'))
    }
  })
})

const numbers = { name: 'numbers', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 4 } as const

/** Does to the map what its context says: puts a value in with flags, takes one out, or adds to it. */
const onMap = assemble([
  mov(r6, r1),
  load(r1, 'u64', r6, 8),
  store('u32', r10, -4, r1),
  load(r1, 'u64', r6, 16),
  store('u64', r10, -16, r1),
  mov(r2, r10),
  add(r2, -4),
  loadMap(r1, numbers.name),
  load(r0, 'u64', r6, 0),
  jeq(r0, 1, 'delete'),
  jeq(r0, 2, 'lookup'),
  mov(r3, r10),
  add(r3, -16),
  load(r4, 'u64', r6, 24),
  call('map_update_elem'),
  exit(),
  label('delete'),
  call('map_delete_elem'),
  exit(),
  label('lookup'),
  call('map_lookup_elem'),
  jeq(r0, 0, 'none'),
  mov(r2, r0),
  load(r0, 'u64', r2, 0),
  load(r1, 'u64', r6, 16),
  add(r1, r0),
  store('u64', r2, 0, r1),
  exit(),
  label('none'),
  mov(r0, -1),
  exit(),
])

live('the kernel and the interpreter agree on what programs do to maps', kernel => {
  const random = new Random()
  const types = ['hash', 'array'] as const
  for (const type of types) {
    const [map, model] = [kernel.createMap({ ...numbers, type }), new MapModel({ ...numbers, type })]
    const program = kernel.loadProgram({ ...spec, insns: encode(onMap, { [numbers.name]: map.fd }), notes: onMap.notes })
    random.repeat(500, () => {
      const asked = [random.below(3), random.below(6), random.below(1000), random.below(4)]
      const context = new Uint8Array(BigUint64Array.from(asked, BigInt).buffer)
      const ours = Number(BigInt.asUintN(32, interpret(onMap, { context, maps: [model] }).result))
      assert.is(ours, program.run({ context }).result, `${type}: ${asked.join()}`)
    })
    for (const [key, value] of model.entries()) assert.equal(map.lookup(key), value)
    program.close()
    map.close()
  }
})

test.run()
