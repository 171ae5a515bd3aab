import { cut, printable } from '../trace/index.js'

/** Readings longer than so many characters show only what is around the place, and of each part so many cells. */
const [longest, partLength] = [120, 36]

/** A part of a chain, and what joins it to the part before. */
interface Part {
  readonly joint: 'and' | 'or'
  readonly text: string
}

/**
 * Two ways to read a chain that mixes `and` and `or`: from left to right, as ss(8) does, and with `and` first, as C does. Where these are one, as
 * in `a and b or c`, the former is with `or` first, which is what people mean by `dport = 443 and dst 10/8 or dst 11/8`. `other` is the first part
 * that is joined otherwise than those before.
 */
export function readings(parts: readonly Part[], other: number): readonly [string, string] {
  const short = parts.map(({ joint, text }) => ({ joint, text: text.replace(/\s+/g, ' ') }))
  const whole = both(short)
  if (whole.every(reading => reading.length <= longest)) return whole
  const [before, behind] = [other > 2 ? '… ' : '', other + 1 < parts.length ? ' …' : '']
  const [one, two] = both(short.slice(other - 2, other + 1).map(({ joint, text }) => ({ joint, text: shorten(text) })))
  return [`${before}${one}${behind}`, `${before}${two}${behind}`]
}

function both(parts: readonly Part[]): readonly [string, string] {
  const [inOrder, andFirst] = [leftToRight(parts), grouped(parts, 'and', 'or')]
  return [inOrder === andFirst ? grouped(parts, 'or', 'and') : inOrder, andFirst]
}

function shorten(text: string): string {
  const whole = printable(text)
  const short = cut(whole, partLength)
  return short.length < whole.length ? `${short}…` : whole
}

function leftToRight(parts: readonly Part[]): string {
  return parts.slice(1).reduce(({ joint, text }, part, index) => ({
    joint: part.joint,
    text: `${index === 0 || joint === part.joint ? text : `(${text})`} ${part.joint} ${part.text}`,
  }), parts[0]!).text
}

/** What `first` joins is in parentheses. */
function grouped(parts: readonly Part[], first: 'and' | 'or', then: 'and' | 'or'): string {
  const groups: string[][] = []
  for (const [index, { joint, text }] of parts.entries()) {
    if (index === 0 || joint === then) groups.push([text])
    else groups.at(-1)!.push(text)
  }
  return groups.map(group => group.length > 1 ? `(${group.join(` ${first} `)})` : group[0]!).join(` ${then} `)
}
