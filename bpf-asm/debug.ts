import { type Assembly, placed, slotsOf } from './assemble.js'
import type { Insn } from './code.js'
import { lines } from './disasm.js'
import { Class, classOf, Jump, loadImm64Code, operationOf, Pseudo } from './opcode.js'
import { BtfWriter, Kind } from './btf-writer.js'

/** A line of a program's source. */
export interface SourceLine {
  readonly file: string
  readonly line: number
  readonly column: number
  /** What stands there, if that is known. */
  readonly text?: string
}

/** What describes a program to the kernel: its own BTF, and two tables that refer to it, each for `bpf_attr` as it is. */
export interface DebugInfo {
  readonly btf: Uint8Array
  /** `struct bpf_func_info` of each function. */
  readonly funcInfo: Uint8Array
  /** `struct bpf_line_info` of each line. */
  readonly lineInfo: Uint8Array
  /** The instructions as a listing shows them, by slot, to explain a refusal. */
  readonly texts: readonly (string | undefined)[]
}

/** `at name (place)` or `at place`, which is a URL or, of CommonJS, a path that may have blanks. */
const frame = /(?: at |\()((?:file:\/\/)?\/.+):(\d+):(\d+)\)?$/

/**
 * Where an instruction was emitted: `sourceOf` says what a place, as the engine reports it, was compiled from. The innermost frames are the
 * emitters' own, up to the first that is of another folder, or was compiled from one of another folder and bundled.
 */
export function placeOf({ site }: Insn, sourceOf: (place: SourceLine) => SourceLine = place => place): SourceLine | undefined {
  let own: string | undefined
  for (const line of site?.stack?.split('\n') ?? []) {
    const [, file, row, column] = frame.exec(line) ?? []
    if (file === undefined) continue
    const place = sourceOf({ file, line: Number(row), column: Number(column) })
    const folders = `${folderOf(file)} ${folderOf(place.file)}`
    if (folders !== (own ??= folders)) return place
  }
  return undefined
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1)
}

/** More does not fit into what the kernel has for them: 22 and 10 bits (`BPF_LINE_INFO_LINE_COL`). */
const [lastLine, lastColumn] = [2 ** 22 - 1, 2 ** 10 - 1]

/**
 * Describes a program by where its instructions were emitted, so that the verifier's log (since Linux 5.0, with file and line since 6.9) and
 * `bpftool prog dump xlated linum` show that. `sourceOf` says what a place was compiled from, and what stands there; beside it, or in its
 * place where it is not known, stands the note of the instruction.
 */
export function debugInfo(
  assembly: Assembly, name: string, sourceOf: (place: SourceLine) => SourceLine = place => place,
): DebugInfo {
  const btf = new BtfWriter()
  const int = btf.type('int', Kind.int, 4, 1 << 24 | 32)
  const prototype = btf.type('', Kind.funcProto, int)
  const starts = functions(assembly, name)
  const funcInfo = [...starts].flatMap(([slot, func]) => [slot, btf.type(identifier(func), Kind.func, prototype)])

  const texts = new Array<string | undefined>(assembly.slots).fill(undefined)
  const lineInfo: number[] = []
  let last = ''
  for (const { slot, text: instruction, insn } of lines(placed(assembly))) {
    texts[slot] = instruction
    const source: SourceLine = placeOf(insn, sourceOf) ?? { file: '', line: 0, column: 0 }
    const text = lineText(source.text, insn.note)
    const line = `${source.file}:${source.line} ${text}`
    // What belongs to the line before needs no entry, but at a function's start the kernel wants one.
    if (line !== last || starts.has(slot)) {
      const where = Math.min(source.line, lastLine) << 10 | Math.min(source.column, lastColumn)
      lineInfo.push(slot, btf.string(source.file), btf.string(text), where)
    }
    last = line
  }
  return { btf: btf.bytes(), funcInfo: wordsOf(funcInfo), lineInfo: wordsOf(lineInfo), texts }
}

/** What stands in a line, with the note unless that stands there too. */
function lineText(text: string | undefined, note: string | undefined): string {
  if (text === undefined || note === undefined) return text ?? note ?? ''
  return text.includes(note) ? text : `${text} // ${note}`
}

/** Where functions start, in order, with their names: the program itself, and what it calls by label. */
function functions({ insns, labels }: Assembly, name: string): Map<number, string> {
  const starts = new Set<number>()
  let slot = 0
  for (const insn of insns) {
    const { code, src, imm } = insn
    const isCall = classOf(code) === Class.jmp && operationOf(code) === Jump.call && src === Pseudo.call
    if (isCall || (code === loadImm64Code && src === Pseudo.func)) starts.add(slot + 1 + imm)
    slot += slotsOf(insn)
  }
  starts.delete(0)
  return new Map([[0, name], ...[...starts].sort((a, b) => a - b).map(start => [start, labels.get(start)?.[0] ?? `at_${start}`] as const)])
}

/** A name as C and the kernel allow it. */
const identifier = (name: string) => name.replaceAll(/\W|^(?=\d)/g, '_')

const wordsOf = (numbers: readonly number[]) => new Uint8Array(Uint32Array.from(numbers).buffer)
