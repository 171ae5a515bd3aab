/** An instruction, or a part of a program made by the emitters below. Labels and map names are resolved by `assemble`. */
export interface Insn {
  /** The opcode byte. */
  readonly code: number
  readonly dst: number
  readonly src: number
  readonly off: number
  readonly imm: number
  /** The upper half of a 64-bit immediate: only a load of one has it, and takes two slots. */
  readonly high?: number
  /** Where it goes, or which function it means. */
  readonly label?: string
  /** The map it refers to, by name. */
  readonly map?: string
  /** The kernel function that it calls, by name: the kernel goes by the id. */
  readonly kfunc?: string
  /** Why it is there: shown in listings and in verifier errors. */
  readonly note?: string
  /** Where it was emitted: for an error that only `assemble` can find, and for line information. Decoded instructions have none. */
  readonly site?: Error | undefined
}

/** A place in a program that jumps can name. */
export interface Label {
  readonly define: string
  readonly site?: Error | undefined
}

/** A program or a part of one. Nesting means nothing: parts are put together by putting them into an array. */
export type Code = Insn | Label | readonly Code[]

/** An instruction that cannot be encoded, or a program that does not hang together. */
export class AssemblyError extends Error {
  override readonly name = 'AssemblyError'
}

export function isList(code: Code): code is readonly Code[] {
  return Array.isArray(code)
}

export function isLabel(code: Insn | Label): code is Label {
  return 'define' in code
}

let noted = true

/** Where the caller's caller is, for errors: to know it takes longer than to make an instruction. */
export function site(): Error | undefined {
  return noted ? new Error() : undefined
}

/** What `make` makes, without sites. */
export function withoutSites<T>(make: () => T): T {
  const before = noted
  noted = false
  try {
    return make()
  } finally {
    noted = before
  }
}
