import { emptyNode, type Start, startTimes } from './here.js'
import { type Ran, ranText } from './meant.js'
import type { Overhead } from './overhead.js'
import type { Guest, Result } from './result.js'

/** One table in Markdown, each figure with how it was made. */
export function tableOf({ guests, drain, start, idle }: Result): string {
  const row = (...cells: readonly string[]) => `| ${cells.join(' | ')} |\n`
  const ms = (value: number) => `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`
  return [
    row('what', 'figure', 'how'),
    row('---', '---', '---'),
    ...Object.entries(guests).flatMap(([release, { overhead, start }]) => [
      ...groupsOf(overhead).map(([name, ones]) => row(
        `Linux ${release}: ${name}`,
        ones.map(({ connections, added, spread, reason }) => `${added === null ? reason : `${added} ± ${spread}`} (${connections})`).join(' · '),
        'instructions added to a 1-byte send or receive, ± how near a second pass came (connections), in a guest with one instruction = 1 ns',
      )),
      ...start.map(({ what, cpu }) => row(
        `Linux ${release}: start of ${what}`, `${cpu.toFixed(0)} million instructions`, 'from exec until attached, in the same guest; median of 3',
      )),
    ]),
    ...drain.map(({ flows, cpu, walk, wasm, peak }) => row(
      `drain of ${flows.toLocaleString('en')} flows`, `${ms(cpu)}: ${ms(walk)} in the kernel, ${ms(wasm)} in WASM; ${peak.toFixed(0)} MB at most`,
      'CPU to read, subtract, group, pick 20 rows and print, of a hash filled from user space, all counters changed; median of frames',
    )),
    ...start.map(({ what, cpu, wall }) => row(
      `start of ${what}`, `${ms(cpu)} of CPU${timesEmpty(start, what, cpu)}, ${ms(wall)}`,
      `from exec until attached, which the first output shows; all of them in turn, median of ${startTimes}`,
    )),
    ...idle.map(({ flows, share, peak }) => row(
      `at 1 s with ${flows.toLocaleString('en')} flows`, `${(100 * share).toFixed(2)} % of a core, ${peak.toFixed(0)} MB at most`,
      'connections over loopback that do nothing; CPU over 10 s, 12 s after the start, memory since the start',
    )),
  ].join('')
}

/** How the CPU of another start compares with that of an empty Node.js, where that was measured too. */
function timesEmpty(all: readonly Start[], of: string, cpu: number): string {
  const empty = all.find(({ what }) => what === emptyNode.what)
  return empty === undefined || of === empty.what ? '' : ` (${(cpu / empty.cpu).toFixed(2)} × ${empty.what})`
}

function groupsOf(all: readonly Overhead[]): [string, Overhead[]][] {
  const groups = new Map<string, Overhead[]>()
  for (const one of all) {
    const name = one.tool === 'none' ? one.what : `${one.tool}, ${one.what}`
    groups.set(name, [...groups.get(name) ?? [], one])
  }
  return [...groups]
}

/** Which programs ran while something was measured, a line for each backend and what it was measured with. */
export function ranLines({ guests, ran }: Pick<Result, 'guests' | 'ran'>): string {
  return [
    ...Object.entries(guests).flatMap(([release, guest]) => ranIn(guest).map(([what, ran]) => `Linux ${release}: ${what}: ${ranText(ran)}\n`)),
    ...ran === undefined ? [] : [`here: ${ranText(ran)}\n`],
  ].join('')
}

/** What had the same programs is one. */
function ranIn({ overhead }: Guest): [what: string, ran: Ran][] {
  const whats = new Map<string, { readonly ran: Ran; readonly whats: Set<string> }>()
  for (const { what, ran } of overhead) {
    if (ran === undefined) continue
    const text = ranText(ran)
    if (!whats.has(text)) whats.set(text, { ran, whats: new Set() })
    whats.get(text)!.whats.add(what)
  }
  return [...whats.values()].map(({ ran, whats }) => [[...whats].join(', '), ran])
}
