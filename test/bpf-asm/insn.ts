import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add, add32, assemble, AssemblyError, atomicAdd, be, call, callFunction, callKfunc, type Code, div, encode, fetchAdd,
  type HelperName, jeq, jeq32, label, le, list, load, loadAcquire, loadFunction, loadImm64, loadMap, loadMapValue,
  loadVariable, lsh, lsh32, mod32, mov, mov32, movsx, movsx32, neg, note, type Register, r0, r1, r2, r10, sdiv, store,
  storeRelease, xchg,
} from '../../bpf-asm/index.js'
import { bytesOf, callee, boundForms, forms, rest } from '../kit/form.js'

for (const [insn, bytes, line] of [...forms, ...boundForms]) {
  const assembly = assemble([insn, rest, callee])

  test(`${line} has the bytes that the standard gives it`, () => {
    const expected = bytesOf(bytes)
    assert.equal(encode(assembly, { numbers: 7 }).subarray(0, expected.length), expected)
  })

  test(`${line} is listed as the kernel lists it`, () => assert.is(list(assembly)[0], `0: ${line}`))
}

/** The first and the last value that an operand may have, and those beside them that it may not. */
const ranges: readonly (readonly [what: string, emit: (value: number) => Code, first: number, last: number])[] = [
  ['an immediate of 64 bits', value => add(r1, value), -(2 ** 31), 2 ** 31 - 1],
  ['an immediate of 32 bits', value => add32(r1, value), -(2 ** 31), 2 ** 32 - 1],
  ['an immediate that is moved', value => mov(r1, value), -(2 ** 31), 2 ** 31 - 1],
  ['an immediate that is moved to a lower half', value => mov32(r1, value), -(2 ** 31), 2 ** 32 - 1],
  ['a shift of 64 bits', value => lsh(r1, value), 0, 63],
  ['a shift of 32 bits', value => lsh32(r1, value), 0, 31],
  ['an immediate to compare 64 bits with', value => jeq(r1, value, 'there'), -(2 ** 31), 2 ** 31 - 1],
  ['an immediate to compare 32 bits with', value => jeq32(r1, value, 'there'), -(2 ** 31), 2 ** 32 - 1],
  ['an immediate byte', value => store('u8', r1, 0, value), -128, 255],
  ['an immediate of two bytes', value => store('u16', r1, 0, value), -32768, 65535],
  ['an immediate of four bytes', value => store('u32', r1, 0, value), -(2 ** 31), 2 ** 32 - 1],
  ['an immediate of eight bytes', value => store('u64', r1, 0, value), -(2 ** 31), 2 ** 31 - 1],
  ['the offset of a load', value => load(r1, 'u8', r2, value), -32768, 32767],
  ['the offset of a store', value => store('u8', r1, value, r2), -32768, 32767],
  ['the offset of a store of an immediate', value => store('u8', r1, value, 0), -32768, 32767],
  ['the offset of an atomic operation', value => atomicAdd('u64', r1, value, r2), -32768, 32767],
  ['the offset of a load-acquire', value => loadAcquire(r1, 'u8', r2, value), -32768, 32767],
  ['the offset of a store-release', value => storeRelease('u8', r1, value, r2), -32768, 32767],
  ['the offset in a map’s value', value => loadMapValue(r1, 'numbers', value), 0, 2 ** 31 - 1],
  ['the id of a variable', value => loadVariable(r1, value), 1, 2 ** 31 - 1],
  ['the id of a kernel function', value => callKfunc({ name: 'f', id: value }), 1, 2 ** 31 - 1],
  ['the module of a kernel function', value => callKfunc({ name: 'f', id: 1 }, value), 0, 32767],
]

for (const [what, emit, first, last] of ranges) {
  test(`${what} goes from ${first} to ${last}, in whole numbers`, () => {
    for (const value of [first, last]) emit(value)
    for (const value of [first - 1, last + 1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      const message = ` must be an integer of ${first} to ${last}, got ${value}`
      const isRefusal = (error: unknown) => error instanceof AssemblyError && error.message.endsWith(message)
      assert.throws(() => emit(value), isRefusal, `${value}`)
    }
  })
}

test('a 64-bit value goes from the lowest signed to the highest unsigned', () => {
  for (const value of [-(2n ** 63n), 2n ** 64n - 1n]) loadImm64(r1, value)
  for (const value of [-(2n ** 63n) - 1n, 2n ** 64n]) {
    assert.throws(() => loadImm64(r1, value), /does not fit into 64 bits$/)
  }
})

const nothing = { register: 11 }
const wrong = <Value>(value: unknown) => value as Value

const mistakes: readonly (readonly [what: string, emit: () => Code, message: RegExp])[] = [
  ['a register above r10 to write', () => mov(nothing, 1), /^no register r11$/],
  ['a register above r10 to read', () => mov(r1, nothing), /^no register r11$/],
  ['half a register', () => mov({ register: 1.5 }, 1), /^no register r1.5$/],
  ['the name of a register', () => mov(r1, wrong<Register>('r2')), /^no register /],
  ['a base that is no register', () => load(r1, 'u8', nothing, 0), /^no register r11$/],
  ['a base of a store that is no register', () => store('u8', nothing, 0, 1), /^no register r11$/],
  ['a comparison of no register', () => jeq(nothing, 1, 'there'), /^no register r11$/],
  ['a comparison with no register', () => jeq(r1, nothing, 'there'), /^no register r11$/],
  ['arithmetic on r10', () => add(r10, 8), /^r10 is the frame pointer and cannot be written$/],
  ['a negated r10', () => neg(r10), /^r10 is/],
  ['a byte swap of r10', () => be(r10, 16), /^r10 is/],
  ['a sign-extension to r10', () => movsx(r10, r1, 8), /^r10 is/],
  ['a load to r10', () => load(r10, 'u64', r1, 0), /^r10 is/],
  ['a load-acquire to r10', () => loadAcquire(r10, 'u64', r1, 0), /^r10 is/],
  ['a 64-bit value for r10', () => loadImm64(r10, 1n), /^r10 is/],
  ['a map for r10', () => loadMap(r10, 'numbers'), /^r10 is/],
  ['a fetch to r10', () => fetchAdd('u64', r1, 0, r10), /^r10 is/],
  ['an exchange with r10', () => xchg('u64', r1, 0, r10), /^r10 is/],
  ['division by zero', () => div(r1, 0), /^division by zero$/],
  ['signed division by zero', () => sdiv(r1, 0), /^division by zero$/],
  ['the remainder of a division by zero', () => mod32(r1, -0), /^division by zero$/],
  ['a value that a number does not hold exactly', () => loadImm64(r1, 2 ** 53), /is not exact: give a bigint$/],
  ['a fraction', () => loadImm64(r1, 0.5), /is not exact: give a bigint$/],
  ['a byte swap of 8 bits', () => le(r1, wrong<16>(8)), /^bits must be one of 16, 32, 64, got 8$/],
  ['a sign-extension of 64 bits', () => movsx(r1, r2, wrong<8>(64)), /^bits must be one of 8, 16, 32, got 64$/],
  ['a sign-extension of 32 bits to 32', () => movsx32(r1, r2, wrong<8>(32)), /^bits must be one of 8, 16, got 32$/],
  ['a load of an unknown size', () => load(r1, wrong<'u8'>('u128'), r2, 0), /^a size must be one of .*, got u128$/],
  ['a signed load of 64 bits', () => load(r1, wrong<'s8'>('s64'), r2, 0), /^a size must be one of .*, s32, got s64$/],
  ['a signed store', () => store(wrong<'u8'>('s8'), r1, 0, 1), /^a size must be one of u8, u16, u32, u64, got s8$/],
  ['a signed load-acquire', () => loadAcquire(r1, wrong<'u8'>('s8'), r2, 0), /^a size must be one of .*, u64, got s8$/],
  ['a size by a name of Object’s', () => storeRelease(wrong<'u8'>('toString'), r1, 0, r2), /^a size must be one of/],
  ['an atomic addition to a byte', () => atomicAdd(wrong<'u32'>('u8'), r1, 0, r2), /^an atomic size must be one of u32, u64/],
  ['an unknown helper', () => call(wrong<HelperName>('no_such')), /^no helper bpf_no_such$/],
  ['the helper that is none', () => call(wrong<HelperName>('unspec')), /^no helper bpf_unspec$/],
  ['a label without a name', () => label(''), /^a label needs a name$/],
  ['a jump to no name', () => jeq(r1, 0, ''), /^a label needs a name$/],
  ['a call of no name', () => callFunction(''), /^a label needs a name$/],
  ['a function of no name', () => loadFunction(r1, ''), /^a label needs a name$/],
  ['a note on nothing', () => note('why', label('here'), []), /^nothing to note "why" on$/],
]

for (const [what, emit, message] of mistakes) {
  test(`${what} is an error at the call that asks for it`, () => {
    const culprit = () => emit()
    assert.throws(culprit, (error: unknown) => {
      assert.instance(error, AssemblyError)
      assert.match((error as AssemblyError).message, message)
      assert.match((error as AssemblyError).stack ?? '', /^AssemblyError: .*\n(.*\n)*? +at culprit /)
      return true
    })
  })
}

test('writing through r10 and reading it are fine', () => {
  const fine = [store('u8', r10, -1, 0), store('u64', r10, -8, r10), mov(r0, r10), atomicAdd('u64', r10, -8, r10)]
  assert.is(assemble(fine).slots, 4)
})

test.run()
