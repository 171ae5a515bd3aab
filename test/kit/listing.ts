import { type Assembly, lines, list } from '../../bpf-asm/index.js'

/** A program's name and its instructions. */
interface Named {
  readonly name: string
  readonly assembly: Assembly
}

/** Runs of fewer lines are listed wherever they are. */
const shortest = 4

/**
 * Listings for golden files, in which a changed instruction is one changed line: no line has a slot number or a distance, jumps name their
 * targets as seen from them, and a run of code is listed once, in the first program that has it.
 */
export class Listings {
  /** Where each block was listed first: the program, and the blocks of it. */
  readonly #listed = new Map<string, { readonly program: string; readonly blocks: readonly string[]; readonly index: number }>()

  /** Lists programs; `owner` says whose they are where later ones refer to them. */
  list(owner: string, programs: readonly Named[]): string {
    return programs.map(({ name, assembly }) => `\nprogram ${name}\n${this.#text(`${name} of ${owner}`, blocksOf(assembly))}`).join('')
  }

  #text(program: string, blocks: readonly string[]): string {
    const out: string[] = []
    for (let index = 0; index < blocks.length;) {
      const first = this.#listed.get(blocks[index]!)
      let end = index
      while (first !== undefined && end < blocks.length && blocks[end] === first.blocks[first.index + end - index]) end++
      const known = blocks.slice(index, end).join('')
      if (first !== undefined && known.split('\n').length > shortest) {
        out.push(`  … as in ${first.program}, from ${known.slice(0, known.indexOf('\n')).trim().replace(/ +;.*/, '')}\n`)
        index = end
      } else {
        out.push(blocks[index]!)
        if (first === undefined) this.#listed.set(blocks[index]!, { program, blocks, index })
        index++
      }
    }
    return out.join('')
  }
}

/** The lines of a program, divided before labels and after jumps and calls. */
function blocksOf(assembly: Assembly): string[] {
  const blocks = ['']
  const stems = stemsOf(assembly)
  for (const { slot, labels, text, note, insn } of lines(assembly)) {
    if (labels.length > 0) blocks.push(`${labels.map(label => stems.get(label)!.stem).join(', ')}:\n`)
    const line = `  ${text.replace(/ pc[+-]\d+/, '').replace(/<([^<>]*)>$/, (_, label: string) => `<${relative(stems, label, slot)}>`)}`
    blocks[blocks.length - 1] += note === undefined ? `${line}\n` : `${line.padEnd(50)} ; ${note}\n`
    if (insn.label !== undefined || /\) (call|exit)/.test(text)) blocks.push('')
  }
  return blocks.filter(block => block !== '')
}

/** What a place is called apart from the number that makes it unique, and where it is. */
type Stems = ReadonlyMap<string, { readonly stem: string; readonly slot: number }>

/** Places without names, which are numbered from the named one before them, are all called `.`. */
function stemsOf({ labels }: Assembly): Stems {
  const stems = new Map<string, { readonly stem: string; readonly slot: number }>()
  let [named, parts] = ['', 0]
  for (const [slot, names] of [...labels].sort(([one], [other]) => one - other)) {
    for (const name of names) {
      const isPart = name === `${named}.${parts + 1}`
      if (isPart) parts++
      else [named, parts] = [name, 0]
      stems.set(name, { stem: isPart ? '.' : name.replace(/\.\d+$/, ''), slot })
    }
  }
  return stems
}

/** A place as seen from a slot: the nearest of its name, or how many of that name are nearer; `-` is backward. */
function relative(stems: Stems, label: string, from: number): string {
  const { stem, slot } = stems.get(label)!
  const isBackward = slot <= from
  const nearer = [...stems.values()].filter(other => other.stem === stem && (isBackward ? other.slot > slot && other.slot <= from : other.slot > from && other.slot < slot))
  return isBackward ? `${stem} -${nearer.length + 1}` : nearer.length === 0 ? stem : `${stem} +${nearer.length + 1}`
}

/** The instructions in a verifier log of level 2, by slot. */
export function logged(log: string): Map<number, string> {
  const lines = new Map<number, string>()
  for (const line of log.split('\n')) {
    const match = /^(\d+): (\([0-9a-f]{2}\) .*?)\s*(;.*)?$/.exec(line)
    if (match?.[1] !== undefined && match[2] !== undefined) lines.set(Number(match[1]), match[2])
  }
  return lines
}

/** In place of a map the kernel prints an address. */
const withoutAddress = (line: string) => line.replace(/ = 0x[0-9a-f]+$/, ' = address')

/**
 * Compares our lines with the verifier's: what differs, and how many were compared; it does not walk over what cannot
 * be reached.
 */
export function compareListing(
  assembly: Assembly, log: string,
): { readonly differences: string[]; readonly compared: number } {
  const theirs = logged(log)
  const differences: string[] = []
  let compared = 0
  for (const [index, line] of list(assembly).entries()) {
    const [, slot, text] = /^(\d+): (.*)$/.exec(line) ?? []
    const their = theirs.get(Number(slot))
    if (text === undefined || their === undefined) continue
    compared++
    const seen = assembly.insns[index]?.map === undefined ? (line: string) => line : withoutAddress
    if (seen(text) !== seen(their)) differences.push(`${slot}: ours ${text}, theirs ${their}`)
  }
  return { differences, compared }
}
