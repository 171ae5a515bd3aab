import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  assemble, type Assembly, AssemblyError, callFunction, type Code, decode, encode, exit, gotol, type Insn, ja, jeq,
  label, list, loadFunction, loadImm64, loadMap, loadMapValue, mayGoto, mov, note, r0, r1, r2,
} from '../../bpf-asm/index.js'
import { Random } from '../kit/random.js'
import { boundForms, bytesOf, callee, forms, rest } from '../kit/form.js'
import { assertMistake } from '../kit/mistake.js'
import { randomProgram } from '../kit/random-program.js'

const descriptors = { numbers: 7, words: 8 }
/** What the bytes say: an instruction without names and notes, and with its map's descriptor. */
const plain = ({ code, dst, src, off, imm, high, map }: Insn): Insn => ({
  code, dst, src, off, imm: map === undefined ? imm : descriptors[map as 'numbers'], ...(high === undefined ? {} : { high }),
})
const nops = (count: number): Code => Array.from({ length: count }, () => mov(r0, 0))

test('parts in parts are one program, and an instruction of two slots counts as two', () => {
  const assembly = assemble([mov(r0, 0), [[loadImm64(r1, 1n)], []], [[[exit()]]]])
  assert.is(assembly.insns.length, 3)
  assert.is(assembly.slots, 4)
  assert.is(encode(assembly).length, 32)
})

test('an empty program is no bytes', () => assert.is(encode(assemble([])).length, 0))

test('a jump counts slots from the one after it, forward and back, over instructions of two', () => {
  const { insns } = assemble([
    label('start'), ja('end'), loadImm64(r1, 1n), jeq(r1, r2, 'start'), jeq(r1, 0, 'next'), label('next'),
    mayGoto('end'), gotol('start'), label('end'), exit(),
  ])
  assert.equal(insns.map(({ off, imm }) => off || imm), [6, 1, -4, 0, 1, -7, 0])
})

test('a function is called and its address taken by the distance from the slot after the first', () => {
  const code = [callFunction('function'), loadFunction(r1, 'function'), exit(), label('function'), exit()]
  const { insns } = assemble(code)
  assert.equal(insns.map(({ imm, off }) => [imm, off]), [[3, 0], [2, 0], [0, 0], [0, 0]])
})

test('a jump reaches 32767 slots forward and 32768 back, gotol further', () => {
  type Emit = (label: string) => Insn
  const far = (emit: Emit, slots: number) => assemble([emit('far'), nops(slots), label('far'), exit()]).insns[0]
  const back = (emit: Emit, slots: number) => assemble([label('far'), nops(slots), emit('far')]).insns.at(-1)
  for (const emit of [ja, mayGoto, (label: string) => jeq(r1, 0, label)]) {
    assert.is(far(emit, 32767)?.off, 32767)
    assert.is(back(emit, 32767)?.off, -32768)
    assert.throws(() => far(emit, 32768), /^label far is 32768 slots from instruction 0: a jump reaches 32767, gotol any/)
    assert.throws(() => back(emit, 32768), /^label far is -32769 slots from instruction 32768: a jump reaches 32767/)
  }
  assert.equal([far(gotol, 100_000)?.off, far(gotol, 100_000)?.imm], [0, 100_000])
  assert.is(back(gotol, 100_000)?.imm, -100_001)
  assert.is(far(callFunction, 100_000)?.imm, 100_000)
})

const jumpToNowhere = () => jeq(r1, 0, 'nowhere')
const callOfNothing = () => callFunction('nothing')
const addressOfNothing = () => loadFunction(r1, 'nothing')
const secondDefinition = () => label('twice')
const jumpTooFar = () => ja('far')
const jumpToEnd = () => ja('end')

/** Errors that only show when the whole program is known, by the function that made the faulty part. */
const mistakes: readonly (readonly [culprit: () => Code, program: (part: Code) => Code, message: RegExp])[] = [
  [jumpToNowhere, part => [part, exit()], /^label nowhere is not defined$/],
  [callOfNothing, part => [part, exit()], /^label nothing is not defined$/],
  [addressOfNothing, part => [part, exit()], /^label nothing is not defined$/],
  [secondDefinition, part => [label('twice'), exit(), part, exit()], /^label twice is defined twice$/],
  [jumpTooFar, part => [part, nops(40_000), label('far'), exit()], /^label far is 40000 slots from instruction 0/],
  [jumpToEnd, part => [part, exit(), label('end')], /^label end is at the end, where no instruction is$/],
]

for (const [culprit, program, message] of mistakes) {
  test(`${culprit.name}: an error that names the call which made it`, () => {
    const code = program(culprit())
    for (const source of [code, () => program(culprit())]) assertMistake(source, message, culprit)
  })
}

test('a note is at its instruction’s slot, also after instructions of two', () => {
  const { notes, slots } = assemble([
    loadImm64(r1, 1n),
    note('first of a list', label('here'), [[], [loadMap(r1, 'numbers'), mov(r0, 0)]]),
    loadImm64(r2, 1n),
    note('last', exit()),
  ])
  assert.is(slots, 8)
  assert.equal(notes, [undefined, undefined, 'first of a list', undefined, undefined, undefined, undefined, 'last'])
})

test('a note leaves the code as it is', () => {
  const code = [label('here'), loadImm64(r1, 1n), exit()]
  assert.equal(encode(assemble(note('why', code))), encode(assemble(code)))
})

test('labels are listed by slot, also several at one', () => {
  const { labels } = assemble([label('start'), loadImm64(r1, 1n), label('a'), label('b'), exit(), label('end')])
  assert.equal([...labels], [[0, ['start']], [2, ['a', 'b']], [3, ['end']]])
})

test('maps are listed once each, in order of appearance', () => {
  assert.equal(assemble([loadMap(r1, 'b'), loadMapValue(r2, 'a', 8), loadMap(r1, 'b'), exit()]).maps, ['b', 'a'])
})

test('the same assembly takes other descriptors, and misses none silently', () => {
  const assembly = assemble([loadMap(r1, 'numbers'), loadMapValue(r1, 'words', 16), exit()])
  const immediates = (bytes: Uint8Array) => [...new Int32Array(bytes.buffer)].filter((_, word) => word % 2 === 1)
  assert.equal(immediates(encode(assembly, descriptors)), [7, 0, 8, 16, 0])
  assert.equal(immediates(encode(assembly, { numbers: 3, words: 2 ** 31 - 1 })), [3, 0, 2 ** 31 - 1, 16, 0])
  assert.throws(() => encode(assembly, { numbers: 7 }), /^no descriptor for map words$/)
  assert.throws(() => encode(assemble([loadMap(r1, 'constructor')])), /^no descriptor for map constructor$/)
})

test('what is decoded is what was encoded, and is encoded to the same bytes', () => {
  const random = new Random()
  random.repeat(500, () => {
    const assembly = assemble(randomProgram(random, 1 + random.below(60)))
    const bytes = encode(assembly, descriptors)
    const decoded = decode(bytes)
    assert.equal(decoded.insns, assembly.insns.map(plain))
    assert.is(decoded.slots, assembly.slots)
    assert.is(decoded.notes.length, assembly.slots)
    assert.equal(encode(decoded), bytes)
  })
})

test('bytes are read where they are, also in the middle of a buffer', () => {
  const bytes = encode(assemble([loadImm64(r1, 5n), exit()]))
  const within = new Uint8Array(100).fill(0xff)
  within.set(bytes, 3)
  assert.equal(decode(within.subarray(3, 3 + bytes.length)), decode(bytes))
})

const damaged: readonly (readonly [what: string, hex: string, message: RegExp])[] = [
  ['a half instruction', '95 00 0000', /^4 bytes are no whole number of instructions$/],
  ['a 64-bit immediate that ends', '95 00 0000 00000000 18 01 0000 00000000', /^instruction 1 is cut off$/],
  ['a 64-bit immediate before an exit', '18 01 0000 00000000 95 00 0000 00000000', /^instruction 1 is no second half/],
  ['a second half with a register', '18 01 0000 00000000 00 01 0000 00000000', /^instruction 1 is no second half/],
  ['a second half with an offset', '18 01 0000 00000000 00 00 0100 00000000', /^instruction 1 is no second half/],
  ['a second half alone', '95 00 0000 00000000 00 00 0000 00000000', /^instruction 1 is unknown: opcode 0x0$/],
  ['a destination above r10', '07 0b 0000 00000000', /^instruction 0 names a register above r10$/],
  ['a source above r10', '0f b0 0000 00000000', /^instruction 0 names a register above r10$/],
  ['a load from a packet', '20 00 0000 00000000', /^instruction 0 is unknown: opcode 0x20$/],
  ['a jump that there is not', 'f5 00 0000 00000000', /^instruction 0 is unknown: opcode 0xf5$/],
  ['a call of the 32-bit class', '86 00 0000 01000000', /^instruction 0 is unknown: opcode 0x86$/],
  ['a call of a fourth kind', '85 30 0000 01000000', /^instruction 0 is unknown: opcode 0x85$/],
  ['an eighth 64-bit immediate', '18 71 0000 00000000 00 00 0000 00000000', /^instruction 0 is unknown: opcode 0x18$/],
  ['an atomic subtraction', 'db 00 0000 10000000', /^instruction 0 is unknown: opcode 0xdb$/],
  ['an atomic addition to a byte', 'd3 00 0000 00000000', /^instruction 0 is unknown: opcode 0xd3$/],
  ['a signed load of 64 bits', '99 00 0000 00000000', /^instruction 0 is unknown: opcode 0x99$/],
  ['a signed multiplication', '27 00 0100 00000000', /^instruction 0 is unknown: opcode 0x27$/],
  ['a sign-extension of 24 bits', 'bf 00 1800 00000000', /^instruction 0 is unknown: opcode 0xbf$/],
  ['a sign-extension of 32 bits to 32', 'bc 00 2000 00000000', /^instruction 0 is unknown: opcode 0xbc$/],
  ['a byte swap of 8 bits', 'd7 00 0000 08000000', /^instruction 0 is unknown: opcode 0xd7$/],
]

for (const [what, hex, message] of damaged) {
  test(`${what} is refused`, () => {
    assert.throws(() => decode(bytesOf(hex)), (error: unknown) => {
      assert.instance(error, AssemblyError)
      assert.match((error as AssemblyError).message, message)
      return true
    })
  })
}

test('the opcodes that are decoded are those of the table', () => {
  const opcodes = new Set([...forms, ...boundForms].map(([{ code }]) => code))
  for (let code = 0; code < 256; code++) {
    // Immediates that choose an operation, of bytes and of atomic ones.
    const known = [16, 0x100].some(imm => {
      const bytes = new Uint8Array(code === 0x18 ? 16 : 8)
      new DataView(bytes.buffer).setUint8(0, code)
      new DataView(bytes.buffer).setInt32(4, imm, true)
      return decodes(bytes) !== undefined
    })
    assert.is(known, opcodes.has(code), `opcode 0x${code.toString(16)}`)
  }
})

/** What the bytes are, or undefined if they are refused as damaged bytes are. */
function decodes(bytes: Uint8Array): Assembly | undefined {
  try {
    return decode(bytes)
  } catch (error) {
    if (error instanceof AssemblyError) return undefined
    throw error
  }
}

test('damaged bytes are an AssemblyError or a program that can be listed and encoded again', () => {
  const random = new Random()
  let refused = 0
  random.repeat(3000, () => {
    const bytes = encode(assemble(randomProgram(random, 1 + random.below(20))), descriptors)
    for (let count = 1 + random.below(4); count > 0; count--) bytes[random.below(bytes.length)] = random.below(256)
    const cut = random.chance(0.2) ? bytes.subarray(0, random.below(bytes.length)) : bytes
    const decoded = decodes(cut)
    if (decoded === undefined) refused++
    else {
      assert.equal(encode(decoded), cut)
      assert.is(list(decoded).length, decoded.insns.length)
      assert.not.match(list(decoded).join('\n'), /undefined|NaN|\(..\) ?$/m)
    }
  })
  assert.ok(refused > 300 && refused < 2900, `${refused} of 3000 refused`)
})

test('every form of the table comes back from its bytes, and is listed alike', () => {
  for (const [insn] of [...forms, ...boundForms]) {
    const assembly = assemble([insn, rest, callee])
    const decoded = decode(encode(assembly, descriptors))
    assert.equal(decoded.insns, assembly.insns.map(plain))
    if (insn.map === undefined) assert.equal(list(decoded), list(assembly))
  }
})

test.run()
