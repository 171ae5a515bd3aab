import { cells, printable } from '../trace/index.js'
import { UsageError } from '../usage-error.js'

/** At most so many characters of the filter stand on either side of the place that an error shows. */
const around = 60

/**
 * A filter that is not understood. The message is printable and has up to three lines: what was expected, the text, and a `^` under the place;
 * two more show the readings of a filter that has two.
 */
export class FilterError extends UsageError {
  /** Where in the text. */
  readonly at: number

  constructor(message: string, text: string, at: number, readings: readonly string[] = []) {
    super([printable(message), ...excerpt(text, at), ...readings.map(reading => `  ${printable(reading)}`)].join('\n'))
    this.at = at
  }
}

/** The line of the text that holds the place, shortened to its surroundings, and a `^` under the place. */
function excerpt(text: string, at: number): readonly [string, string] {
  const start = text.lastIndexOf('\n', at - 1) + 1
  const end = text.indexOf('\n', start)
  const [from, to] = [Math.max(start, at - around), Math.min(end < 0 ? text.length : end, at + around)]
  const shown = (from: number, to: number) => printable(text.slice(from, to).replace(/\s/g, ' '))
  const before = `  ${from > start ? '…' : ''}${shown(from, at)}`
  const isCut = to < (end < 0 ? text.length : end)
  return [`${before}${shown(at, to)}${isCut ? '…' : ''}`.trimEnd(), `${' '.repeat(cells(before))}^`]
}
