import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add, all, any, aside, assemble, block, callFunction, type Code, encode, exit, gotol, interpret, is, ja, jeq, jge, jle, jne, jset,
  jslt, label, list, listing, load, loadFunction, loop, mov, mul, not, note, place, r0, r1, r10, r2, r6, r7, r8, rarely, type Register, store, sub, type Test,
  unless, when, xor,
} from '../../bpf-asm/index.js'
import { Random } from '../kit/random.js'
import { assertMistake } from '../kit/mistake.js'

const end = [mov(r0, 0), exit()]

/** What each construct emits, beside what one would write by hand. */
const constructs: readonly (readonly [what: string, structured: () => Code, byHand: Code])[] = [
  ['when', () => [when(is.eq(r1, 0), mov(r2, 1)), end], [jne(r1, 0, 'end'), mov(r2, 1), label('end'), end]],
  ['when, otherwise', () => [when(is.lt(r1, r2), mov(r2, 1), [mov(r2, 2), mov(r1, 0)]), end], [
    jge(r1, r2, 'other'), mov(r2, 1), ja('end'), label('other'), mov(r2, 2), mov(r1, 0), label('end'), end,
  ]],
  ['when that leaves, otherwise', () => [when(is.gt(r1, 7), end, mov(r2, 2)), end], [jle(r1, 7, 'other'), end, label('other'), mov(r2, 2), end]],
  ['when both leave', () => when(is.gt(r1, 7), end, end), [jle(r1, 7, 'other'), end, label('other'), end]],
  ['when all in it leave', () => [when(is.gt(r1, 7), when(is.eq(r1, 8), end, end), mov(r2, 2)), end], [
    jle(r1, 7, 'other'), jne(r1, 8, 'inner'), end, label('inner'), end, label('other'), mov(r2, 2), end,
  ]],
  ['when it ends with a block that is left', () => [when(is.gt(r1, 7), block('in', to => [is.eq(r2, 0).jump(to), end]), mov(r2, 2)), end], [
    jle(r1, 7, 'other'), jeq(r2, 0, 'in'), end, label('in'), ja('end'), label('other'), mov(r2, 2), label('end'), end,
  ]],
  ['when it ends with a block that is not left', () => [when(is.gt(r1, 7), block('in', () => end), mov(r2, 2)), end], [
    jle(r1, 7, 'other'), end, label('other'), mov(r2, 2), end,
  ]],
  ['unless', () => [unless(is.slt(r1, 0), mov(r2, 1)), end], [jslt(r1, 0, 'end'), mov(r2, 1), label('end'), end]],
  ['a bit, as it jumps when it holds', () => [unless(is.set(r1, 4), mov(r2, 1)), end], [jset(r1, 4, 'end'), mov(r2, 1), label('end'), end]],
  ['a bit, as it jumps unless it holds', () => [when(is.set(r1, 4), mov(r2, 1)), end], [
    jset(r1, 4, 'set'), ja('end'), label('set'), mov(r2, 1), label('end'), end,
  ]],
  ['rarely', () => [rarely('odd', is.ne(r1, 0), mov(r1, 0)), mov(r2, 1), end], [
    jne(r1, 0, 'odd'), label('back'), mov(r2, 1), end, label('odd'), mov(r1, 0), ja('back'),
  ]],
  ['rarely, and not back', () => [rarely('odd', is.ne(r1, 0), end), mov(r2, 1), end], [jne(r1, 0, 'odd'), mov(r2, 1), end, label('odd'), end]],
  ['rarely within rarely', () => [rarely('odd', is.ne(r1, 0), [rarely('odder', is.eq(r1, 3), mov(r1, 1)), mov(r2, 0)]), end], [
    jne(r1, 0, 'odd'), label('back'), end, label('odd'), jeq(r1, 3, 'odder'), label('inner'), mov(r2, 0), ja('back'),
    label('odder'), mov(r1, 1), ja('inner'),
  ]],
  ['block', () => [block('done', done => [is.eq(r1, 0).jump(done), mov(r2, 1), ja(done), mov(r2, 2)]), end], [
    jeq(r1, 0, 'done'), mov(r2, 1), ja('done'), mov(r2, 2), label('done'), end,
  ]],
  ['loop', () => [loop('next', next => [sub(r1, 1), is.ne(r1, 0).jump(next)]), end], [label('next'), sub(r1, 1), jne(r1, 0, 'next'), end]],
  ['an aside that two go to', () => {
    const out = aside('out', () => end)
    return [is.eq(r1, 0).jump(out), is.eq32(r2, 0).jumpUnless(out), mov(r2, 1), ja(out)]
  }, [jeq(r1, 0, 'out'), { ...jne(r2, 0, 'out'), code: 0x56 }, mov(r2, 1), ja('out'), label('out'), end]],
  ['an aside that nothing goes to', () => (aside('out', () => end), end), end],
  ['asides of asides', () => {
    const second = aside('second', () => end)
    const first = aside('first', () => [is.eq(r2, 0).jump(second), end])
    return [is.eq(r1, 0).jump(first), end]
  }, [jeq(r1, 0, 'first'), end, label('first'), jeq(r2, 0, 'second'), end, label('second'), end]],
  ['functions behind what jumps lead to, each with its own', () => {
    const halve = aside('halve', () => [rarely('zero', is.eq(r1, 0), mov(r1, 2)), mov(r0, r1), exit()])
    return [loadFunction(r2, halve), callFunction(halve), rarely('none', is.eq(r0, 0), mov(r0, 1)), end]
  }, [
    loadFunction(r2, 'halve'), callFunction('halve'), jeq(r0, 0, 'none'), label('back'), end, label('none'), mov(r0, 1), ja('back'),
    label('halve'), jeq(r1, 0, 'zero'), label('in'), mov(r0, r1), exit(), label('zero'), mov(r1, 2), ja('in'),
  ]],
  ['all', () => [when(all(is.eq(r1, 0), is.eq(r2, 0)), mov(r1, 1)), end], [
    jne(r1, 0, 'end'), jne(r2, 0, 'end'), mov(r1, 1), label('end'), end,
  ]],
  ['not all', () => [unless(all(is.eq(r1, 0), is.eq(r2, 0)), mov(r1, 1)), end], [
    jne(r1, 0, 'some'), jeq(r2, 0, 'end'), label('some'), mov(r1, 1), label('end'), end,
  ]],
  ['any, with code before the second', () => [when(any(is.ne(r1, 0), is.ne(r2, 0).after(mov(r2, r6))), mov(r1, 1)), end], [
    jne(r1, 0, 'one'), mov(r2, r6), jeq(r2, 0, 'end'), label('one'), mov(r1, 1), label('end'), end,
  ]],
  ['not', () => [when(not(is.eq(r1, 0)), mov(r2, 1)), end], [jeq(r1, 0, 'end'), mov(r2, 1), label('end'), end]],
  ['strings and places together', () => [jeq(r1, 0, 'out'), block('out', out => [gotol(out), mov(r2, 1)]), label('out'), end], [
    jeq(r1, 0, 'out'), gotol('place'), mov(r2, 1), label('place'), label('out'), end,
  ]],
]

for (const [what, structured, byHand] of constructs) {
  test(`${what}: what one would write by hand`, () => {
    for (const code of [structured(), structured]) assert.equal(list(assemble(code)), list(assemble(byHand)))
    assert.equal(encode(assemble(structured)), encode(assemble(byHand)))
  })
}

test('every comparison jumps when it holds, and its opposite unless it does', () => {
  const numbers = [0n, 1n, -1n, 1n << 31n, (1n << 32n) - 1n, 1n << 32n, 1n << 63n, 6n].map(number => BigInt.asUintN(64, number))
  const signed = (number: bigint, bits: number) => BigInt.asIntN(bits, number)
  const holds: Readonly<Record<string, (dst: bigint, src: bigint, bits: number) => boolean>> = {
    eq: (dst, src) => dst === src, ne: (dst, src) => dst !== src, set: (dst, src) => (dst & src) !== 0n,
    gt: (dst, src) => dst > src, ge: (dst, src) => dst >= src, lt: (dst, src) => dst < src, le: (dst, src) => dst <= src,
    sgt: (dst, src, bits) => signed(dst, bits) > signed(src, bits), sge: (dst, src, bits) => signed(dst, bits) >= signed(src, bits),
    slt: (dst, src, bits) => signed(dst, bits) < signed(src, bits), sle: (dst, src, bits) => signed(dst, bits) <= signed(src, bits),
  }
  assert.is(Object.keys(is).length, 2 * Object.keys(holds).length)
  for (const [name, test] of Object.entries(is)) {
    const bits = name.endsWith('32') ? 32 : 64
    for (const dst of numbers) {
      for (const src of numbers) {
        const context = new Uint8Array(BigUint64Array.of(dst, src).buffer)
        const taken = (jump: (test: Test) => Code) => interpret(assemble([
          load(r2, 'u64', r1, 8), load(r1, 'u64', r1, 0), jump(test(r1, r2)), mov(r0, 0), exit(), label('taken'), mov(r0, 1), exit(),
        ]), { context }).result === 1n
        const expected = holds[name.replace('32', '')]!(BigInt.asUintN(bits, dst), BigInt.asUintN(bits, src), bits)
        assert.is(taken(test => test.jump('taken')), expected, `${name} ${dst} ${src}`)
        assert.is(taken(test => test.jumpUnless('taken')), !expected, `not ${name} ${dst} ${src}`)
      }
    }
  }
})

test('a listing has the names of places, with a number where there are several, and of those without a name where they are', () => {
  const code = [
    label('exit.2'), when(is.eq(r1, 0), mov(r2, 1), mov(r2, 2)),
    block('exit', exit => is.eq(r1, 1).jump(exit)), block('exit', exit => is.eq(r1, 2).jump(exit)), block('unused', () => mov(r2, 3)),
    unless(is.eq(r1, 3), mov(r2, 4)), rarely('odd', is.eq(r1, 4), mov(r2, 5)), end,
  ]
  assert.is(listing(assemble(code)).replaceAll(/ *\d+: \(..\) /g, '  ').replaceAll(/pc.\d+ /g, ''), [
    'exit.2:', '  if r1 != 0x0 goto <exit.2.1>', '  r2 = 1', '  goto <exit.2.2>',
    'exit.2.1:', '  r2 = 2',
    'exit.2.2:', '  if r1 == 0x1 goto <exit>',
    'exit:', '  if r1 == 0x2 goto <exit.3>',
    'exit.3:', '  r2 = 3', '  if r1 == 0x3 goto <exit.3.1>', '  r2 = 4',
    'exit.3.1:', '  if r1 == 0x4 goto <odd>',
    'odd done:', '  r0 = 0', '  exit',
    'odd:', '  r2 = 5', '  goto <odd done>', '',
  ].join('\n'))
})

test('a note is on the first instruction of a construct', () => {
  const { notes } = assemble([mov(r1, 0), note('when it is nothing', when(is.eq(r1, 0), mov(r2, 1))), end])
  assert.equal(notes, [undefined, 'when it is nothing', undefined, undefined, undefined])
})

test('a place that is made once is used in any number of programs', () => {
  const out = aside('out', () => end)
  const [first, second] = [[is.eq(r1, 0).jump(out), end], [mov(r2, 1), is.eq(r1, 0).jump(out), mov(r2, 1), ja(out)]].map(code => assemble(code))
  assert.equal([first!.insns[0]?.off, second!.insns[1]?.off], [2, 2])
})

const jumpToNowhere = () => is.eq(r1, 0).jump(place('nowhere'))
const jumpWithoutName = () => ja(place())
const usedTwice = () => when(is.eq(r1, 0), mov(r2, 1))
const jumpTooFar = (to = place('far')) => [is.eq(r1, 0).jump(to), Array.from({ length: 40_000 }, () => mov(r2, 0)), label(to)]
const placeAtEnd = () => block('last', last => [is.eq(r1, 0).jump(last), exit()])
const blockBeforeAside = () => [rarely('odd', is.eq(r1, 0), end), mov(r0, 0)]
const asideThatGoesOn = () => is.eq(r1, 0).jump(aside('out', () => mov(r0, 0)))

/** Errors that only show when the whole program is known, by the function that made the faulty part. */
const mistakes: readonly (readonly [culprit: () => Code, program: (part: Code) => Code, message: RegExp])[] = [
  [jumpToNowhere, part => [part, end], /^place nowhere is used but never placed$/],
  [jumpWithoutName, part => [part, end], /^a place without a name is used but never placed$/],
  [usedTwice, part => [part, part, end], /^a place without a name is placed twice$/],
  [jumpTooFar, part => [part, end], /^place far is 40000 slots from instruction 0: a jump reaches 32767, gotol any$/],
  [placeAtEnd, part => part, /^place last is at the end, where no instruction is$/],
  [blockBeforeAside, part => part, /^the code before the aside odd runs on into it$/],
  [asideThatGoesOn, part => [part, is.eq(r1, 1).jump(aside('other', () => end)), end], /^the code before the aside other runs on into it$/],
]

for (const [culprit, program, message] of mistakes) {
  test(`${culprit.name}: an error that names the call which made it`, () => {
    const code = program(culprit())
    for (const source of [code, () => program(culprit())]) assertMistake(source, message, culprit === asideThatGoesOn ? undefined : culprit)
  })
}

/** A program that is told as a tree: what is assembled of it, and what it does to three registers, must be the same. */
type State = [bigint, bigint, bigint]
interface Statement {
  readonly code: () => Code
  /** Changes the registers; true when it leaves for the block that `leave` is in. */
  readonly run: (state: State) => boolean
}
interface Condition {
  readonly test: () => Test
  readonly holds: (state: State) => boolean
}

const registers: readonly Register[] = [r6, r7, r8]
const cut = (value: bigint) => BigInt.asUintN(64, value)
const small = (random: Random) => random.below(9) - 4

function condition(random: Random, depth: number): Condition {
  const kind = depth > 0 ? random.below(8) : 0
  if (kind < 5) {
    const [left, right] = [random.below(3), random.below(4)]
    const number = small(random)
    const operand = (state: State) => right < 3 ? state[right]! : cut(BigInt(number))
    const low = (value: bigint) => BigInt.asUintN(32, value)
    const sign = (value: bigint) => BigInt.asIntN(64, value)
    const [name, holds] = random.pick([
      ['eq', (a: bigint, b: bigint) => a === b], ['ne', (a: bigint, b: bigint) => a !== b], ['lt', (a: bigint, b: bigint) => a < b],
      ['sge', (a: bigint, b: bigint) => sign(a) >= sign(b)], ['set', (a: bigint, b: bigint) => (a & b) !== 0n],
      ['le32', (a: bigint, b: bigint) => low(a) <= low(b)], ['set32', (a: bigint, b: bigint) => low(a & b) !== 0n],
    ] as const)
    return {
      test: () => is[name](registers[left]!, right < 3 ? registers[right]! : number),
      holds: state => holds(state[left]!, operand(state)),
    }
  }
  const inner = Array.from({ length: random.below(4) }, () => condition(random, depth - 1))
  const [first] = inner
  if (kind === 5) return { test: () => all(...inner.map(({ test }) => test())), holds: state => inner.every(({ holds }) => holds(state)) }
  if (kind === 6 || first === undefined) {
    return { test: () => any(...inner.map(({ test }) => test())), holds: state => inner.some(({ holds }) => holds(state)) }
  }
  const before = step(random)
  return { test: () => not(first.test()).after(before.code()), holds: state => (before.run(state), !first.holds(state)) }
}

function step(random: Random): Statement {
  const [dst, src, number] = [random.below(3), random.below(3), small(random)]
  const [emit, result] = random.pick([
    [add, (a: bigint, b: bigint) => a + b], [sub, (a: bigint, b: bigint) => a - b], [mul, (a: bigint, b: bigint) => a * b],
    [xor, (a: bigint, b: bigint) => a ^ b], [mov, (_: bigint, b: bigint) => b],
  ] as const)
  const isNumber = random.chance(0.5)
  return {
    code: () => emit(registers[dst]!, isNumber ? number : registers[src]!),
    run: state => {
      state[dst] = cut(result(state[dst]!, isNumber ? cut(BigInt(number)) : state[src]!))
      return false
    },
  }
}

const sequence = (statements: readonly Statement[]): Statement => ({
  code: () => statements.map(({ code }) => code()),
  run: state => statements.some(({ run }) => run(state)),
})

/** A statement; `leave` of the innermost block, if there is one that it may leave. */
function statement(random: Random, depth: number, leave: (() => Code) | undefined): Statement {
  const inside = (to = leave) => sequence(Array.from({ length: random.below(4) }, () => statement(random, depth - 1, to)))
  const kind = depth > 0 ? random.below(10) : 0
  if (kind < 3) return step(random)
  const { test, holds } = condition(random, 2)
  if (kind === 3) {
    const then = inside()
    return { code: () => when(test(), then.code()), run: state => holds(state) && then.run(state) }
  }
  if (kind === 4) {
    const [then, otherwise] = [inside(), inside()]
    return { code: () => when(test(), then.code(), otherwise.code()), run: state => holds(state) ? then.run(state) : otherwise.run(state) }
  }
  if (kind === 5) {
    const body = inside()
    return { code: () => unless(test(), body.code()), run: state => !holds(state) && body.run(state) }
  }
  if (kind === 6) {
    const body = inside()
    return { code: () => rarely('rare', test(), body.code()), run: state => holds(state) && body.run(state) }
  }
  if (kind === 7 && leave !== undefined) {
    const isSure = random.chance(0.3)
    return { code: () => isSure ? leave() : when(test(), leave()), run: state => isSure || holds(state) }
  }
  if (kind === 8) {
    // Three times at most, counted on the stack beside the depth of the loop.
    const body = inside()
    const at = -8 * (depth + 1)
    return {
      code: () => [
        store('u64', r10, at, 0),
        loop('again', again => [body.code(), load(r1, 'u64', r10, at), add(r1, 1), store('u64', r10, at, r1), is.lt(r1, 3).jump(again)]),
      ],
      run: state => [0, 1, 2].some(() => body.run(state)),
    }
  }
  let end = place()
  const body = inside(() => ja(end))
  return {
    code: () => block('block', place => {
      const outer = end
      end = place
      const code = body.code()
      end = outer
      return code
    }),
    run: state => (body.run(state), false),
  }
}

test('a random structured program does what its tree says', () => {
  const random = new Random()
  let asides = 0
  random.repeat(400, () => {
    const program = sequence(Array.from({ length: 1 + random.below(6) }, () => statement(random, 4, undefined)))
    const words = registers.map(() => BigInt.asUintN(64, BigInt(random.below(12) - 4)))
    const assembly = assemble(() => [
      mov(r2, r1), registers.map((register, index) => load(register, 'u64', r2, 8 * index)),
      program.code(),
      mov(r0, 0), registers.map(register => [mul(r0, 31), add(r0, register)]), exit(),
    ])
    asides += Number(listing(assembly).includes('rare:'))
    const state = [...words] as State
    program.run(state)
    const { result } = interpret(assembly, { context: new Uint8Array(BigUint64Array.from(words).buffer) })
    assert.is(result, state.reduce((sum, word) => cut(sum * 31n + word), 0n), listing(assembly))
  })
  assert.ok(asides > 50, `${asides} with code behind the program`)
})

test.run()
