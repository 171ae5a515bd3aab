import { Alu, Jump } from './opcode.js'

/**
 * What an ALU instruction is and does: as listings show it, and on numbers. Operands come without a sign, of so many bits; what
 * is too large for them in the result, or below zero, is cut to them afterwards.
 */
export interface Operation {
  readonly sign: string
  readonly result: (dst: bigint, src: bigint, bits: 32 | 64) => bigint
}

/** What a conditional jump is, and when it is taken. Operands come as for an operation. */
export interface Comparison {
  readonly sign: string
  readonly holds: (dst: bigint, src: bigint, bits: 32 | 64) => boolean
}

const signed = (bits: number, value: bigint) => BigInt.asIntN(bits, value)
/** A shift by the width or more is one by the rest. */
const distance = (bits: number, value: bigint) => value & BigInt(bits - 1)

/** By the operation of the opcode; atomic instructions have the same numbers. */
export const operations: Readonly<Record<number, Operation>> = {
  [Alu.add]: { sign: '+=', result: (dst, src) => dst + src },
  [Alu.sub]: { sign: '-=', result: (dst, src) => dst - src },
  [Alu.mul]: { sign: '*=', result: (dst, src) => dst * src },
  [Alu.div]: { sign: '/=', result: (dst, src) => src === 0n ? 0n : dst / src },
  [Alu.or]: { sign: '|=', result: (dst, src) => dst | src },
  [Alu.and]: { sign: '&=', result: (dst, src) => dst & src },
  [Alu.lsh]: { sign: '<<=', result: (dst, src, bits) => dst << distance(bits, src) },
  [Alu.rsh]: { sign: '>>=', result: (dst, src, bits) => dst >> distance(bits, src) },
  [Alu.mod]: { sign: '%=', result: (dst, src) => src === 0n ? dst : dst % src },
  [Alu.xor]: { sign: '^=', result: (dst, src) => dst ^ src },
  [Alu.mov]: { sign: '=', result: (_, src) => src },
  [Alu.arsh]: { sign: 's>>=', result: (dst, src, bits) => signed(bits, dst) >> distance(bits, src) },
}

/** Division that keeps the sign, rounded towards zero: the same opcodes with an offset of 1. */
export const signedOperations: Readonly<Record<number, Operation>> = {
  [Alu.div]: { sign: 's/=', result: (dst, src, bits) => src === 0n ? 0n : signed(bits, dst) / signed(bits, src) },
  [Alu.mod]: { sign: 's%=', result: (dst, src, bits) => src === 0n ? dst : signed(bits, dst) % signed(bits, src) },
}

/** By the operation of the opcode. */
export const comparisons: Readonly<Record<number, Comparison>> = {
  [Jump.jeq]: { sign: '==', holds: (dst, src) => dst === src },
  [Jump.jne]: { sign: '!=', holds: (dst, src) => dst !== src },
  [Jump.jset]: { sign: '&', holds: (dst, src) => (dst & src) !== 0n },
  [Jump.jgt]: { sign: '>', holds: (dst, src) => dst > src },
  [Jump.jge]: { sign: '>=', holds: (dst, src) => dst >= src },
  [Jump.jlt]: { sign: '<', holds: (dst, src) => dst < src },
  [Jump.jle]: { sign: '<=', holds: (dst, src) => dst <= src },
  [Jump.jsgt]: { sign: 's>', holds: (dst, src, bits) => signed(bits, dst) > signed(bits, src) },
  [Jump.jsge]: { sign: 's>=', holds: (dst, src, bits) => signed(bits, dst) >= signed(bits, src) },
  [Jump.jslt]: { sign: 's<', holds: (dst, src, bits) => signed(bits, dst) < signed(bits, src) },
  [Jump.jsle]: { sign: 's<=', holds: (dst, src, bits) => signed(bits, dst) <= signed(bits, src) },
}
