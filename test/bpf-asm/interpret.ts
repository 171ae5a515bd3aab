import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add, add32, arsh, arsh32, assemble, be, bswap, call, callFunction, callKfunc, cmpxchg, type Code, div, div32, exit, fetchAdd, type Insn,
  interpret, InterpretError, ja, jeq, jgt, jlt32, jne, jset, jsgt, jsgt32, jslt, label, le, load, loadFunction, loadImm64, loadMap,
  loadMapValue, lsh, lsh32, MapModel, mayGoto, Memory, mod, mod32, mov, mov32, movsx, movsx32, mul, neg, neg32, note, r0, r1, r2, r3, r4,
  r5, r6, r10, type Register, rsh, sdiv, sdiv32, type Setting, smod, store, sub, sub32, xchg,
} from '../../bpf-asm/index.js'
import { Random } from '../kit/random.js'
import { contextSize, outcome, runnable } from '../kit/runnable.js'

const run = (code: Code, setting?: Setting) => interpret(assemble(code), setting).result
const refused = (code: Code, setting?: Setting): string => {
  try {
    run(code, setting)
  } catch (error) {
    assert.instance(error, InterpretError)
    return (error as Error).message
  }
  throw new Error('it ran to its end')
}

const top = 1n << 63n
const ones = (1n << 64n) - 1n

// What the kernel does with every form is compared in test/syscall/run.ts; here is what one would get wrong, without the kernel.
const calculations: readonly (readonly [what: string, emit: (dst: Register, src: Register) => Insn, dst: bigint, src: bigint, result: bigint])[] = [
  ['addition wraps', add, ones, 2n, 1n],
  ['subtraction wraps', sub, 0n, 1n, ones],
  ['multiplication wraps', mul, 1n << 40n, 1n << 40n, 0n],
  ['half an addition clears the other half', add32, ones, 1n, 0n],
  ['half a subtraction wraps in its half', sub32, top, 1n, 0xffff_ffffn],
  ['half a move clears the other half', mov32, 0n, ones, 0xffff_ffffn],
  ['division has no sign', div, ones, 2n, ones >> 1n],
  ['division by zero gives 0', div, 7n, 0n, 0n],
  ['half a division by zero gives 0', div32, ones, 1n << 32n, 0n],
  ['the rest of a division by zero is what was divided', mod, ones, 0n, ones],
  ['half of it only its half', mod32, ones, 0n, 0xffff_ffffn],
  ['a signed division rounds towards 0', sdiv, -7n, 2n, BigInt.asUintN(64, -3n)],
  ['the least number through -1 is itself', sdiv, top, ones, top],
  ['half of that too', sdiv32, 1n << 31n, ones, 1n << 31n],
  ['a signed rest has the sign of what was divided', smod, -7n, 2n, ones],
  ['of a signed division by zero too', smod, -7n, 0n, BigInt.asUintN(64, -7n)],
  ['a shift is taken modulo 64', lsh, 1n, 65n, 2n],
  ['half a shift modulo 32', lsh32, 1n, 65n, 2n],
  ['a shift to the right moves zeros in', rsh, top, 63n, 1n],
  ['an arithmetic one the sign', arsh, top, 63n, ones],
  ['half of one the sign of its half', arsh32, 0x8000_0000n, 31n, 0xffff_ffffn],
  ['a byte with a sign', (dst, src) => movsx(dst, src, 8), 0n, 0x80n, ones - 0x7fn],
  ['a byte with a sign on half', (dst, src) => movsx32(dst, src, 8), 0n, 0x80n, 0xffff_ff80n],
  ['the negative', dst => neg(dst), 1n, 0n, ones],
  ['half of it', dst => neg32(dst), 1n, 0n, 0xffff_ffffn],
  ['to big-endian', dst => be(dst, 32), 0x1122_3344_5566_7788n, 0n, 0x8877_6655n],
  ['to little-endian', dst => le(dst, 16), 0x1122_3344_5566_7788n, 0n, 0x7788n],
  ['the other way round', dst => bswap(dst, 64), 0x1122_3344_5566_7788n, 0n, 0x8877_6655_4433_2211n],
]

for (const [what, emit, dst, src, result] of calculations) {
  test(`interpreted: ${what}`, () => {
    assert.is(run([loadImm64(r0, BigInt.asUintN(64, dst)), loadImm64(r1, BigInt.asUintN(64, src)), emit(r0, r1), exit()]), result)
  })
}

test('jumps compare with or without a sign, all or half', () => {
  const taken = (emit: (dst: Register, src: number, to: string) => Insn, dst: bigint, src: number) =>
    run([mov(r0, 1), loadImm64(r1, dst), emit(r1, src, 'yes'), mov(r0, 0), label('yes'), exit()]) === 1n
  assert.ok(taken(jgt, ones, 5))
  assert.not.ok(taken(jsgt, ones, 5))
  assert.ok(taken(jslt, ones, 0))
  assert.ok(taken(jeq, ones, -1))
  assert.not.ok(taken(jeq, 0xffff_ffffn, -1))
  assert.ok(taken(jlt32, 0xffff_ffff_0000_0000n, 1))
  assert.not.ok(taken(jsgt32, 0xffff_ffffn, 0))
  assert.ok(taken(jset, 6n, 2))
  assert.not.ok(taken(jset, 6n, 1))
})

test('memory keeps bytes, of which loads with a sign extend it', () => {
  assert.is(run([store('u32', r10, -4, -2), load(r0, 'u16', r10, -4), exit()]), 0xfffen)
  assert.is(run([store('u32', r10, -4, -2), load(r0, 's16', r10, -4), exit()]), ones - 1n)
  assert.is(run([store('u64', r10, -8, -1), load(r0, 'u64', r10, -8), exit()]), ones)
})

test('atomic instructions give what was there before', () => {
  const before: Code = [store('u64', r10, -8, 5), mov(r1, 7)]
  assert.is(run([before, fetchAdd('u64', r10, -8, r1), load(r0, 'u64', r10, -8), lsh(r0, 8), add(r0, r1), exit()]), 0xc05n)
  assert.is(run([before, xchg('u64', r10, -8, r1), load(r0, 'u64', r10, -8), lsh(r0, 8), add(r0, r1), exit()]), 0x705n)
  for (const [expected, now] of [[5, 7n], [6, 5n]] as const) {
    assert.is(run([before, mov(r0, expected), cmpxchg('u64', r10, -8, r1), load(r1, 'u64', r10, -8), lsh(r1, 8), add(r0, r1), exit()]), now << 8n | 5n)
  }
})

test('half a compare-and-exchange compares half of r0', () => {
  const code = [store('u64', r10, -8, 5), mov(r1, 7), loadImm64(r0, 0x1_0000_0005n), cmpxchg('u32', r10, -8, r1), load(r0, 'u32', r10, -8), exit()]
  assert.is(run(code), 7n)
})

test('the context and what it points to are read where they are', () => {
  const memory = new Memory()
  const sock = new Uint8Array(100)
  sock[98] = 42
  const context = new Uint8Array(BigUint64Array.of(memory.place('struct sock', sock)).buffer)
  assert.is(run([load(r1, 'u64', r1, 0), store('u8', r1, 97, 1), load(r0, 'u8', r1, 98), exit()], { context, memory }), 42n)
  assert.is(sock[97], 1)
})

test('what is out of bounds is an error with the instruction, its note, and by how much', () => {
  assert.is(refused([mov(r0, 0), note('too deep', load(r0, 'u64', r10, -520)), exit()]),
    '1: (79) r0 = *(u64 *)(r10 -520) (too deep): bytes -8 to 0 of the stack, which has 512')
  assert.match(refused([load(r0, 'u32', r1, 6), exit()], { context: new Uint8Array(8) }), /: bytes 6 to 10 of the context, which has 8$/)
  assert.match(refused([mov(r2, 0), load(r0, 'u64', r2, 8), exit()]), /^1: .*: there is nothing at 0x8$/)
  assert.match(refused([callFunction('leaf'), load(r0, 'u8', r0, 0), exit(), label('leaf'), mov(r0, r10), sub(r0, 1), exit()]), /nothing at/)
})

test('a register that was not set, or not since a call, holds nothing', () => {
  assert.is(refused([exit()]), '0: (95) exit: r0 holds nothing')
  const helpers: Setting['helpers'] = { ktime_get_ns: () => 1n }
  assert.is(refused([mov(r1, 1), call('ktime_get_ns'), add(r0, r1), exit()], { helpers }), '2: (0f) r0 += r1: r1 holds nothing')
})

test('helpers take as many arguments as they have parameters, and those must be set', () => {
  const helpers: Setting['helpers'] = { csum_diff: (_, first: bigint, second: bigint) => first - second }
  assert.is(run([mov(r1, 1), mov(r2, 3), call('csum_diff'), exit()], { helpers }), ones - 1n)
  assert.match(refused([mov(r1, 1), call('csum_diff'), exit()], { helpers }), /call bpf_csum_diff#28: r2 holds nothing$/)
  assert.match(refused([call('ktime_get_ns'), exit()]), /ktime_get_ns is not given$/)
  assert.is(run([callKfunc({ name: 'bpf_one', id: 7 }), exit()], { kfuncs: { bpf_one: () => 1n } }), 1n)
})

const numbers = { name: 'numbers', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 2 }
const key = (number: number) => new Uint8Array(Uint32Array.of(number).buffer)
/** `r0 =` the value of `number`, or leaves for `none`. */
const find = (number: number, none: string): Code =>
  [store('u32', r10, -4, number), mov(r2, r10), add(r2, -4), loadMap(r1, 'numbers'), call('map_lookup_elem'), jeq(r0, 0, none)]

test('a program works on the values of a map', () => {
  const map = new MapModel(numbers)
  map.update(key(5), new Uint8Array(BigUint64Array.of(40n).buffer))
  const code = [find(5, 'none'), mov(r1, 2), fetchAdd('u64', r0, 0, r1), mov(r0, r1), exit(), label('none'), mov(r0, 0), exit()]
  assert.is(run(code, { maps: [map] }), 40n)
  assert.equal([...map.entries()], [[key(5), new Uint8Array(BigUint64Array.of(42n).buffer)]])
  map.delete(key(5))
  assert.is(run(code, { maps: [map] }), 0n)
  assert.match(refused([find(5, 'none'), label('none'), mov(r0, 0), exit()]), /there is no map numbers/)
  map.update(key(5), new Uint8Array(8))
  assert.match(refused([find(5, 'none'), load(r0, 'u64', r0, 4), label('none'), exit()], { maps: [map] }), /: bytes 4 to 12 of a value of map numbers, which has 8$/)
})

test('programs put into maps, which answer as the kernel’s do', () => {
  const map = new MapModel(numbers)
  const update = (number: number, flags: number) => run([
    store('u32', r10, -4, number), store('u64', r10, -16, 9), mov(r2, r10), add(r2, -4), mov(r3, r10), add(r3, -16), mov(r4, flags),
    loadMap(r1, 'numbers'), call('map_update_elem'), exit(),
  ], { maps: [map] })
  const error = (errno: bigint) => BigInt.asUintN(64, -errno)
  assert.equal([update(1, 2), update(1, 1), update(1, 1), update(2, 0), update(3, 0), update(1, 3)], [error(2n), 0n, error(17n), 0n, error(7n), error(22n)])
  const remove = [store('u32', r10, -4, 1), mov(r2, r10), add(r2, -4), loadMap(r1, 'numbers'), call('map_delete_elem'), exit()]
  assert.equal([run(remove, { maps: [map] }), run(remove, { maps: [map] }), map.size], [0n, error(2n), 1])
})

test('an array has all of its values from the beginning', () => {
  const words = new MapModel({ ...numbers, name: 'words', type: 'array' })
  assert.is(run([loadMapValue(r1, 'words', 4), store('u32', r1, 0, 7), mov(r0, 0), exit()], { maps: [words] }), 0n)
  assert.equal([...words.entries()].map(([, value]) => value[4]), [7, 0])
  assert.equal([words.update(key(0), new Uint8Array(8)), words.update(key(2), new Uint8Array(8)), words.delete(key(0))], [0, -7, -22])
})

test('functions have a stack of their own, keep what their caller keeps, and go only so deep', () => {
  const code = [
    mov(r6, 40), store('u64', r10, -8, 1), mov(r1, 1), callFunction('f'), add(r0, r6), load(r1, 'u64', r10, -8), add(r0, r1), exit(),
    label('f'), mov(r6, 9), store('u64', r10, -8, 9), mov(r0, r1), exit(),
  ]
  assert.is(run(code), 42n)
  assert.match(refused([label('f'), callFunction('f'), exit()]), /more than 8 functions have called each other$/)
})

test('a helper calls back', () => {
  const helpers: Setting['helpers'] = {
    loop: ({ call }, count: bigint, body: bigint, context: bigint) => {
      for (let index = 0n; index < count; index++) if (call(body, index, context) !== 0n) return index + 1n
      return count
    },
  }
  const code = [
    store('u64', r10, -8, 0), mov(r1, 10), loadFunction(r2, 'body'), mov(r3, r10), add(r3, -8), mov(r4, 0), call('loop'),
    load(r0, 'u64', r10, -8), exit(),
    label('body'), load(r5, 'u64', r2, 0), add(r5, r1), store('u64', r2, 0, r5), mov(r0, 0), exit(),
  ]
  assert.is(run(code, { helpers }), 45n)
})

test('what does not end is given up, but for may_goto, which ends it', () => {
  assert.match(refused([label('on'), mov(r0, 0), ja('on'), exit()], { limit: 1000 }), /after 1000 instructions it is not at its end$/)
  assert.is(run([mov(r0, 0), label('on'), mayGoto('out'), add(r0, 1), ja('on'), label('out'), exit()]), 0xffffn)
})

test('the instructions that it took are counted', () => {
  const code = [mov(r0, 3), label('on'), sub(r0, 1), jne(r0, 0, 'on'), exit()]
  assert.equal(interpret(assemble(code)), { result: 0n, steps: 8 })
})

test('random programs come to their end, twice the same', () => {
  const random = new Random()
  random.repeat(50, () => {
    const assembly = assemble(runnable(random, 5, () => true))
    const end = () => {
      const map = new MapModel(outcome)
      interpret(assembly, { context: new Uint8Array(contextSize).fill(7), maps: [map] })
      return [...map.entries()]
    }
    assert.equal(end(), end())
  })
})

test.run()
