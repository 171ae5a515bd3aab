import { type Assembly, list } from '../bpf-asm/index.js'

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
