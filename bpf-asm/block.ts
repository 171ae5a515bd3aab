import { type Code, type Insn, type Place, place, type Target } from './code.js'
import {
  exit, ja, jeq, jeq32, jge, jge32, jgt, jgt32, jle, jle32, jlt, jlt32, jne, jne32, jset, jset32, jsge, jsge32, jsgt, jsgt32, jsle, jsle32, jslt,
  jslt32, label, mov, type Operand, r0, type Register,
} from './insn.js'

/**
 * Structured code on top of the emitters. Nothing is compiled, allocated or reordered: each function emits the instructions that its comment
 * names, where it is written, and can be mixed with labels and jumps.
 */

/** A condition, which knows how to jump. It reads the registers when its code runs. */
export interface Test {
  /** Jumps when it holds, and falls through otherwise. */
  jump(to: Target): Code
  /** Jumps unless it holds, and falls through otherwise. */
  jumpUnless(to: Target): Code
  /** The same test with `code` before it, such as the load of an operand. */
  after(...code: readonly Code[]): Test
}

function testOf(jump: (to: Target) => Code, jumpUnless: (to: Target) => Code): Test {
  return {
    jump,
    jumpUnless,
    after: (...code) => testOf(to => [code, jump(to)], to => [code, jumpUnless(to)]),
  }
}

type Compare = (dst: Register, src: Operand, to: Target) => Insn

/** A comparison and its opposite are one instruction each. */
const comparison = (holds: Compare, fails: Compare) => (dst: Register, src: Operand): Test =>
  testOf(to => holds(dst, src, to), to => fails(dst, src, to))

/** There is no jump for "no bit is set": it takes two instructions. */
const bits = (holds: Compare) => (dst: Register, src: Operand): Test => testOf(
  to => holds(dst, src, to),
  to => {
    const set = place()
    return [holds(dst, src, set), ja(to), label(set)]
  },
)

/**
 * Tests of a register against a register or an immediate. `s…` is signed, `…32` compares the lower halves (since Linux 5.1). Each is one
 * instruction whichever way it jumps, except `set`, which takes two to jump unless it holds.
 */
export const is = {
  /** `dst == src`; an immediate is sign-extended. */
  eq: comparison(jeq, jne),
  /** `dst != src` */
  ne: comparison(jne, jeq),
  /** `dst > src`, unsigned like the three after it */
  gt: comparison(jgt, jle),
  /** `dst >= src` */
  ge: comparison(jge, jlt),
  /** `dst < src` */
  lt: comparison(jlt, jge),
  /** `dst <= src` */
  le: comparison(jle, jgt),
  /** `dst s> src`, signed like the three after it */
  sgt: comparison(jsgt, jsle),
  /** `dst s>= src` */
  sge: comparison(jsge, jslt),
  /** `dst s< src` */
  slt: comparison(jslt, jsge),
  /** `dst s<= src` */
  sle: comparison(jsle, jsgt),
  /** `dst & src` is not zero */
  set: bits(jset),
  /** `wdst == wsrc` */
  eq32: comparison(jeq32, jne32),
  /** `wdst != wsrc` */
  ne32: comparison(jne32, jeq32),
  /** `wdst > wsrc` */
  gt32: comparison(jgt32, jle32),
  /** `wdst >= wsrc` */
  ge32: comparison(jge32, jlt32),
  /** `wdst < wsrc` */
  lt32: comparison(jlt32, jge32),
  /** `wdst <= wsrc` */
  le32: comparison(jle32, jgt32),
  /** `wdst s> wsrc` */
  sgt32: comparison(jsgt32, jsle32),
  /** `wdst s>= wsrc` */
  sge32: comparison(jsge32, jslt32),
  /** `wdst s< wsrc` */
  slt32: comparison(jslt32, jsge32),
  /** `wdst s<= wsrc` */
  sle32: comparison(jsle32, jsgt32),
  /** `wdst & wsrc` is not zero */
  set32: bits(jset32),
} as const

/** Holds when the test does not. */
export function not(test: Test): Test {
  return testOf(test.jumpUnless, test.jump)
}

/** Holds when all tests hold. Runs them in order and stops at the first that fails. */
export function all(...tests: readonly Test[]): Test {
  const last = tests.at(-1)
  return testOf(
    to => {
      const failed = place()
      return last === undefined ? ja(to) : [tests.slice(0, -1).map(test => test.jumpUnless(failed)), last.jump(to), label(failed)]
    },
    to => tests.map(test => test.jumpUnless(to)),
  )
}

/** Holds when any test holds. Runs them in order and stops at the first that holds. */
export function any(...tests: readonly Test[]): Test {
  return not(all(...tests.map(not)))
}

/** A jump from the end of a body, unless the body leaves by itself: the verifier refuses instructions that cannot be reached. */
const onTo = (to: Place): Insn => ({ ...ja(to), ifReached: true })

/**
 * Runs `then` when the test holds, `otherwise` when it does not. Emits a jump over `then`, and with `otherwise` a jump from the end of `then` over
 * that, unless `then` leaves by itself.
 */
export function when(test: Test, then: Code, otherwise?: Code): Code {
  const end = place()
  if (otherwise === undefined) return [test.jumpUnless(end), then, label(end)]
  const other = place()
  return [test.jumpUnless(other), then, onTo(end), label(other), otherwise, label(end)]
}

/** Runs `body` unless the test holds. Emits a jump over it. */
export function unless(test: Test, body: Code): Code {
  return when(not(test), body)
}

/**
 * Runs `body` out of line when the test holds, so that the common path falls straight through. Emits one jump here; `body` is appended to the
 * program with a jump back, unless it leaves by itself.
 */
export function rarely(name: string, test: Test, body: Code): Code {
  const back = place(`${name} done`)
  return [test.jump(aside(name, () => [body, onTo(back)])), label(back)]
}

/** `return value`: two instructions. */
export function leave(value = 0): Code {
  return [mov(r0, value), exit()]
}

/** Code with a place at its end, for code inside to leave to. Emits no instruction of its own. */
export function block(name: string, body: (end: Place) => Code): Code {
  const end = place(name)
  return [body(end), label(end)]
}

/** Code with a place at its start, for code inside to repeat it. Emits no instruction of its own: without a jump to `again` it runs once. */
export function loop(name: string, body: (again: Place) => Code): Code {
  const again = place(name)
  return [label(again), body(again)]
}

/**
 * A place whose code `assemble` appends to the program, once, if anything goes there: a shared exit, a rare path, or a function for
 * `callFunction`. The code must leave by itself, and so must the end of the program before it. One aside can serve any number of programs.
 */
export function aside(name: string, code: () => Code): Place {
  return place(name, code)
}
