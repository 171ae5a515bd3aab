import { jsonText } from '../trace/index.js'
import { UsageError } from '../usage-error.js'
import { FilterError } from './error.js'
import type { Expression } from './expression.js'
import { type Dialect, MixedError, parse } from './parse.js'

/** The words of a command line that are not options, taken apart. Interval and count are as written. */
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
  const numbers = words.map(word => number.test(word))
  if (words.length > 2 && numbers.every(isNumber => isNumber)) {
    throw new UsageError(`only interval and count may be numbers without an option, got ${jsonText(words[2])} as well`)
  }
  // No expression begins with a number, so that those at the beginning are no part of it.
  const before = Math.min(2, countWhile(numbers))
  const mostBehind = Math.min(2 - before, countWhile(numbers.slice(before).reverse()))
  const errors: FilterError[] = []
  for (let behind = 0; behind <= mostBehind; behind++) {
    const end = words.length - behind
    const [interval, count] = [...words.slice(0, before), ...words.slice(end)]
    const found = { ...interval !== undefined && { interval }, ...count !== undefined && { count } }
    if (before === end) return found
    try {
      return { ...found, filter: parse(words.slice(before, end).join(' '), dialect) }
    } catch (error) {
      if (!(error instanceof FilterError)) throw error
      errors.push(error)
    }
  }
  // Two readings are worth more to the user than a syntax error. Otherwise the numbers are most likely meant as interval and count.
  throw errors.find(error => error instanceof MixedError) ?? errors.at(-1)!
}

/** How many are true before the first that is not. */
function countWhile(flags: readonly boolean[]): number {
  const end = flags.indexOf(false)
  return end < 0 ? flags.length : end
}
