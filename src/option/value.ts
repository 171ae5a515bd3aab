/**
 * Checks of what the user wrote for an option. Each returns the value, or throws a UsageError that names the option,
 * what it must be and what was given.
 */

import { jsonText } from '../trace/index.js'
import { UsageError } from '../usage-error.js'

/** `PID_MAX_LIMIT` of 64-bit kernels (include/linux/threads.h). */
const maxPid = 4_194_304

/** Timers hold 2^31 ms, which is somewhat more than two million seconds. */
const maxSeconds = 2_000_000

/** Decimal digits only: not the `1e3`, `0x10` and blanks that JavaScript would read. */
export function whole(option: string, text: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  const range = most < Number.MAX_SAFE_INTEGER ? `from ${least} to ${most}` : `of at least ${least}`
  throw wrong(option, `a whole number ${range}`, text)
}

/** A decimal number of at least 0.1. */
export function seconds(option: string, text: string): number {
  const value = /^(\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : NaN
  if (value >= 0.1 && value <= maxSeconds) return value
  throw wrong(option, value > maxSeconds ? `a number of at most ${maxSeconds}` : 'a number of at least 0.1', text)
}

/** Process ids, separated by commas or given one after the other, each once. */
export function pids(option: string, texts: readonly string[]): readonly number[] {
  const values = texts.flatMap(text => text.split(',').map(part => {
    const value = Number(part)
    if (/^\d+$/.test(part) && value >= 1 && value <= maxPid) return value
    throw wrong(option, `process ids from 1 to ${maxPid}, separated by commas`, text)
  }))
  return Object.freeze([...new Set(values)])
}

/** A path, existing or not. */
export function path(option: string, must: string, text: string): string {
  // A system call would see a path only up to a NUL.
  if (text !== '' && !text.includes('\0')) return text
  throw wrong(option, must, text)
}

/** The entry of that name. `condition` says when the list is this one. */
export function choice<Entry extends { readonly name: string }>(
  option: string, entries: readonly Entry[], text: string, condition = '',
): Entry {
  const entry = entries.find(({ name }) => name === text)
  if (entry !== undefined) return entry
  throw wrong(option, `${either(entries)}${condition}`, text)
}

/** `a, b or c` */
export function either(entries: readonly { readonly name: string }[]): string {
  const names = entries.map(({ name }) => name)
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
}

function wrong(option: string, must: string, text: string): UsageError {
  // As JSON it is one line, whatever it contains.
  return new UsageError(`${option} must be ${must}, got ${text === '' ? 'nothing' : jsonText(text)}`)
}
