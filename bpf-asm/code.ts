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
  /** Where it goes, or which function it calls: the name of a label. After `assemble` also the name of a place. */
  readonly label?: string
  /** The place where it goes, or the function that it calls. `assemble` replaces it with a name. */
  readonly place?: Place
  /** `assemble` drops it when nothing reaches it: the instruction before it always goes elsewhere, and no jump leads here. */
  readonly ifReached?: true
  /** The map it refers to, by name. */
  readonly map?: string
  /** The kernel function that it calls, by name: the kernel goes by the id. */
  readonly kfunc?: string
  /** Why it is there: shown in listings and in verifier errors. */
  readonly note?: string
  /** Where it was emitted: for an error that only `assemble` can find, and for line information. Decoded instructions have none. */
  readonly site?: Error | undefined
}

/**
 * A place in a program, compared by identity: two places of one name are two, so that parts of a program need not know each other's names.
 * Listings show the name, with a number when several have it. A place without a name is shown as a numbered part of the named one before it.
 */
export interface Place {
  readonly name: string
  /** Of an aside: its code, which `assemble` appends to the program when something goes there. */
  readonly code?: (() => Code) | undefined
  /** Where it was made. */
  readonly site?: Error | undefined
}

/** Where a jump or call goes: the name of a label, or a place. */
export type Target = string | Place

/** Marks where a label or place is. */
export interface Label {
  /** The name of the label, or of the place. */
  readonly define: string
  readonly place?: Place
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

/** Makes a place, which `label` puts into a program; with `code` it is an aside, which `assemble` appends. */
export function place(name = '', code?: () => Code): Place {
  return { name, code, site: site() }
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
