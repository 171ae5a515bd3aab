/** One character of a glob, or any number of them. */
type Element =
  | { readonly kind: 'any' }
  | { readonly kind: 'one' }
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'class'; readonly isNegated: boolean; readonly ranges: readonly (readonly [from: string, to: string])[] }

/** A pattern of characters, not of bytes. */
export type Glob = readonly Element[]

/**
 * `*` stands for any characters, `?` for one, `[a-z]` for one of a class and `[!a-z]` for one outside it; everything else stands for itself, a
 * backslash too, which systemd has in names of cgroups. Undefined when a class is empty or not closed, or a range in it descends.
 */
export function readGlob(text: string): Glob | undefined {
  const glob: Element[] = []
  for (let rest = text; rest !== '';) {
    const [, negation, inside] = /^\[([!^]?)(\]?[^\]]*)\]/.exec(rest) ?? []
    const character = String.fromCodePoint(rest.codePointAt(0)!)
    if (inside !== undefined) {
      const ranges = [...inside.matchAll(/([^])-([^])|([^])/gu)].map(match => [match[1] ?? match[3]!, match[2] ?? match[3]!] as const)
      if (ranges.length === 0 || ranges.some(([from, to]) => from.codePointAt(0)! > to.codePointAt(0)!)) return undefined
      glob.push({ kind: 'class', isNegated: negation !== '', ranges })
      rest = rest.slice(inside.length + negation!.length + 2)
      continue
    }
    if (character === '[') return undefined
    if (character === '*') glob.push({ kind: 'any' })
    else glob.push(character === '?' ? { kind: 'one' } : { kind: 'literal', text: character })
    rest = rest.slice(character.length)
  }
  return glob
}

/** Whether the whole text matches. Takes at most as many steps as the product of both lengths. */
export function matchesGlob(glob: Glob, text: string): boolean {
  const characters = [...text]
  let [element, character] = [0, 0]
  /** The last `*`, and where what comes after it was tried. */
  let [star, tried] = [-1, 0]
  while (character < characters.length) {
    const here = glob[element]
    if (here?.kind === 'any') {
      star = element++
      tried = character
    } else if (here !== undefined && isOne(here, characters[character]!)) {
      element++
      character++
    } else if (star >= 0) {
      element = star + 1
      character = ++tried
    } else return false
  }
  return glob.slice(element).every(({ kind }) => kind === 'any')
}

function isOne(element: Exclude<Element, { kind: 'any' }>, character: string): boolean {
  if (element.kind === 'one') return true
  if (element.kind === 'literal') return element.text === character
  const code = character.codePointAt(0)!
  return element.ranges.some(([from, to]) => code >= from.codePointAt(0)! && code <= to.codePointAt(0)!) !== element.isNegated
}
