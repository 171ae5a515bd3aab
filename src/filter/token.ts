import { FilterError } from './error.js'

/** A piece of a filter: a word, which may have been quoted, a sign, or the end. */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'sign' | 'end'
  /** What it means: of a quoted word without its quotes. */
  readonly text: string
  readonly at: number
  readonly end: number
}

/** Blanks and comments, which `#` begins. */
const gap = /\s*(?:#[^\n]*\s*)*/y
const sign = /!=|!~|==|<=|>=|&&|\|\||[()!=<>~&|,]/y
/** A quote within is written twice. */
const quoted = /'((?:[^']|'')*)'|"((?:[^"]|"")*)"/y
/** `!` ends a word, except in a glob's `[!a-z]`. */
const word = /(?:[^\s()!=<>~&|,]|(?<=\[)!)+/y

/** The pieces of the text, the end last. Throws FilterError for a quote that is not closed. */
export function tokens(text: string): readonly Token[] {
  const found: Token[] = []
  let at = 0
  const take = (pattern: RegExp) => {
    pattern.lastIndex = at
    return pattern.exec(text)
  }
  const add = (kind: Token['kind'], meaning: string, length: number) => {
    found.push({ kind, text: meaning, at, end: at + length })
    at += length
  }
  for (;;) {
    at += take(gap)![0].length
    if (at === text.length) break
    const [signText] = take(sign) ?? []
    const isQuoted = text[at] === "'" || text[at] === '"'
    if (signText !== undefined) add('sign', signText, signText.length)
    else if (isQuoted) {
      const match = take(quoted)
      if (match === null) throw new FilterError(`a quoted word must end with ${text[at]}`, text, at)
      add('quoted', match[1]?.replaceAll("''", "'") ?? match[2]!.replaceAll('""', '"'), match[0].length)
    } else {
      const [wordText] = take(word)!
      add('word', wordText, wordText.length)
    }
  }
  found.push({ kind: 'end', text: '', at: text.trimEnd().length, end: text.length })
  return found
}
