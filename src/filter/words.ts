import { jsonText } from '../trace/index.js'
import { UsageError } from '../usage-error.js'
import { FilterError } from './error.js'
import type { Expression } from './expression.js'
import { type Dialect, MixedError, parse } from './parse.js'

/** What the words of a command line that are no options say. Interval and count are as written. */
export interface Words {
  readonly interval?: string
  readonly count?: string
  readonly filter?: Expression
}

/** Decimal numbers, as an interval may be. */
const number = /^(?:\d+\.?\d*|\.\d+)$/

/**
 * Takes the words that are no options apart: up to two numbers, at the beginning or the end, are interval and count; the longest text that remains
 * and is an expression is the filter. `port 443 5 10` is the filter `port 443`, interval 5 and count 10; in `pid 5 10` the filter is `pid 5`.
 * Throws FilterError when there is no such text, and UsageError when there are numbers alone and more than two.
 */
export function splitWords(words: readonly string[], dialect: Dialect): Words {
  const splits = possibleSplits(words)
  const errors: FilterError[] = []
  for (const { numbers: [interval, count], rest } of splits) {
    const found = { ...interval !== undefined && { interval }, ...count !== undefined && { count } }
    if (rest.length === 0) return found
    try {
      return { ...found, filter: parse(rest.join(' '), dialect) }
    } catch (error) {
      if (!(error instanceof FilterError)) throw error
      errors.push(error)
    }
  }
  if (words.every(word => number.test(word))) throw new UsageError(`only interval and count may be numbers without an option, got ${jsonText(words[2])} as well`)
  // What has two readings is an expression but for that. Otherwise numbers are most likely meant to be interval and count.
  throw errors.find(error => error instanceof MixedError) ?? errors.at(-1)!
}

/** Up to two numbers from the ends, and the words that remain: the longest text first. */
function possibleSplits(words: readonly string[]): readonly { readonly numbers: readonly string[]; readonly rest: readonly string[] }[] {
  const areNumbers = (some: readonly string[]) => some.every(word => number.test(word))
  return [[0, 0], [0, 1], [1, 0], [0, 2], [1, 1], [2, 0]].flatMap(([before = 0, behind = 0]) => {
    const [first, last] = [words.slice(0, before), words.slice(Math.max(before, words.length - behind))]
    if (before + behind > words.length || !areNumbers([...first, ...last])) return []
    return [{ numbers: [...first, ...last], rest: words.slice(before, words.length - behind) }]
  }).sort((one, other) => other.rest.join(' ').length - one.rest.join(' ').length)
}
