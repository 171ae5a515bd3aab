import { refusalOf } from './refusal.js'

/** What is known of a program, by slot: why an instruction is there, and what it is. */
export interface Annotations {
  readonly notes?: readonly (string | undefined)[]
  readonly texts?: readonly (string | undefined)[]
}

/** An instruction in the log: `17: (79) r1 = *(u64 *)(r1 +0)`, since 5.18 followed by `; R1_w=…`. */
const instruction = /^(\d+): \([0-9a-f]{2}\) [^;]*/

/** The log with our notes beside the instructions. */
export function annotate(log: string, { notes = [] }: Annotations): string {
  return log.split('\n').map(line => {
    const note = notes[Number(instruction.exec(line)?.[1])]
    return note === undefined ? line : `${line}   <- ${note}`
  }).join('\n')
}

/** What the verifier says beside its reason: how much it did, of a loop the two states that are the same, and how it looked back for a number. */
const aside =
  /^(processed \d+ insns|verification time|stack depth|-- BEGIN|-- END|max_states|cur state:|old state:|last_idx|regs=|mark_precise|parent (didn't|already))/

/** Since about Linux 7.3 it then explains the same at length, in paragraphs. */
const atLength = /^Verification failed:/

/** A log taken apart. */
interface Verdict {
  /** All lines that are not empty, and of these what leads to the reason. */
  readonly lines: readonly string[]
  readonly said: readonly string[]
  /** The last instruction, an index into `said`; -1 when there is none. */
  readonly at: number
  readonly reason: string
}

function read(log: string): Verdict {
  const lines = log.split('\n').filter(line => line.trim() !== '')
  const end = lines.findIndex(line => atLength.test(line))
  const said = lines.slice(0, end < 0 ? undefined : end).filter(line => !aside.test(line))
  return { lines, said, at: said.findLastIndex(line => instruction.test(line)), reason: said.at(-1) ?? 'the verifier gave no reason' }
}

/** Whether the log has more than statistics: a reason to reject the program. */
export function hasReason(log: string): boolean {
  return read(log).said.length > 0
}

/** The kernel's reason, and beside it the instruction with our note. */
export function essence(log: string, { notes = [] }: Annotations): string {
  const { lines, said, at, reason } = read(log)
  const rejected = instruction.exec(said[at] ?? '')
  const note = notes[Number(rejected?.[1])]
  const where = rejected === null ? '' : ` at ${rejected[0].trimEnd()}${note === undefined ? '' : ` (${note})`}`
  const omitted = lines.length - (rejected === null ? 1 : 2)
  const rest = omitted > 0 ? ` (${omitted} ${omitted === 1 ? 'line' : 'lines'} omitted; -v shows all)` : ''
  return `${reason}${where}${rest}`
}

/** Instructions that are shown before the one at fault, as the verifier came to it, and after it, as they stand in the program. */
const [before, after] = [4, 2]

/**
 * What was refused, for people to learn from: the way to the instruction at fault, the registers as the verifier saw them there, its
 * reason, and what that means and how to fix it, if it is a common one.
 */
export function explain(log: string, { notes = [], texts = [] }: Annotations): string {
  const { said, at, reason } = read(log)
  const shown = (slot: number, text: string) => `${`${slot}:`.padStart(6)} ${text}${notes[slot] === undefined ? '' : `   <- ${notes[slot]}`}`
  const fault = Number(at >= 0 ? instruction.exec(said[at]!)![1] : /insn (\d+)/.exec(reason)?.[1] ?? NaN)
  const next = (from: number, count: number) =>
    texts.flatMap((text, slot) => text !== undefined && slot >= from ? [shown(slot, text)] : []).slice(0, count)
  const way = at >= 0 ? wayTo(said.slice(0, at + 1), shown) : next(fault, 1)
  const state = at >= 0 && tellsState(log) ? registersAt(said.slice(0, at), said.slice(at)) : []
  const reasons = said.slice(at + 1).filter(line => !/^\s*R\d+\S*=/.test(line))
  const refusal = refusalOf(reasons.join('\n'))
  return [
    ...way.map((line, index) => `${index === way.length - 1 ? '>' : ' '} ${line}`),
    ...state.map(([name, value]) => `         ${name} is ${value}`),
    ...next(fault + 1, after).map(line => `  ${line}`),
    ...way.length === 0 ? [] : [''],
    `The verifier says: ${reasons.length > 0 ? reasons.join('; ') : reason}`,
    ...refusal === undefined ? [] : [`It means: ${refusal.meaning}.`, `Fix: ${refusal.remedy}.`],
  ].join('\n')
}

const jumped = /^from (\d+) to \d+/

/** The last instructions of the way, with the lines of source. What was gone through before a jump that starts anew is another way. */
function wayTo(said: readonly string[], shown: (slot: number, text: string) => string): string[] {
  const slotOf = (line: string) => instruction.exec(line)?.[1]
  const places = said.flatMap((line, index) => slotOf(line) === undefined ? [] : [index])
  const start = places.at(-1 - before) ?? 0
  const jump = said.findLastIndex(line => jumped.test(line))
  const from = jumped.exec(said[jump] ?? '')?.[1]
  const origin = jump < start ? undefined : said.slice(0, jump).findLast(line => slotOf(line) === from)
  return [...origin === undefined ? [] : [origin], ...said.slice(Math.max(start, jump))].flatMap(line => {
    const [text, slot] = instruction.exec(line) ?? []
    if (text !== undefined) return [shown(Number(slot), text.slice(text.indexOf('(')).replace(/\s\d+: R\d+.*/, '').trimEnd())]
    return line.startsWith('; ') || jumped.test(line) ? [`       ${jumped.exec(line)?.[0] ?? line}`] : []
  })
}

/** A register or a place on the stack with what the verifier knows of it: values have no spaces but in brackets. */
const known = /\b(R\d+|fp-\d+)(?:_[a-zA-Z]+)?=((?:[^\s()]|\((?:[^()]|\([^()]*\))*\))+)/g

/** Whether a log shows registers from the beginning, or has no instruction that could need them. */
export function tellsState(log: string): boolean {
  const lines = log.split('\n')
  const first = lines.findIndex(line => instruction.test(line))
  return first < 0 || lines.slice(0, first).some(line => line.search(known) >= 0)
}

/** Lines that show everything that is known, not only what is new: at a jump's target, and before Linux 5.18 before every instruction. */
const whole = /^(from \d+ to \d+.*?:|\d+: R|\s+R\d)|\s\d+: R\d/

/** What was known before the instruction at fault of the registers that it and the reason name. */
function registersAt(before: readonly string[], [fault = '', ...reason]: readonly string[]): (readonly [name: string, value: string])[] {
  const state = new Map<string, string>()
  for (const line of before) {
    if (whole.test(line)) state.clear()
    if (/^\d+: \(85\)/.test(line)) for (const name of ['R1', 'R2', 'R3', 'R4', 'R5']) state.delete(name)
    for (const [, name, value] of line.matchAll(known)) state.set(name!, value!)
  }
  const named = [fault, ...reason].flatMap(line => [...line.matchAll(/\b[rwR](\d+)\b/g)].map(([, number]) => Number(number)))
  const passed = /^\d+: \(85\)/.test(fault) ? [1, 2, 3, 4, 5] : []
  return [...new Set([...named, ...passed])].sort((a, b) => a - b).flatMap(number => {
    const value = state.get(`R${number}`)
    return value === undefined ? [] : [[`r${number}`, value] as const]
  })
}
