/** What numbers of bytes are shown as. */
export interface Unit {
  readonly name: string
  /** For the head of the screen. */
  readonly description: string
  /** Which number of a row is shown. */
  readonly of: 'rate' | 'interval' | 'total'
  /** Cells of its longest text below a thousand million million. */
  readonly width: number
  text(bytes: number): string
}

const prefixes = ['', 'k', 'M', 'G', 'T', 'P', 'E'] as const

/**
 * At most three digits and the decimal prefix: `0`, `60 B`, `1.2 MB`, `123 GB`. What is not nothing is never shown as nothing: `<1 B` is the least.
 */
export function human(value: number, unit: string): string {
  if (value === 0) return `0 ${unit}`
  if (value < 1) return `<1 ${unit}`
  let [scaled, index] = [value, 0]
  // What would be rounded to 1000 is 1 of the next.
  while (Math.round(scaled) >= 1000 && index < prefixes.length - 1) [scaled, index] = [scaled / 1000, index + 1]
  const digits = index > 0 && scaled < 9.95 ? scaled.toFixed(1) : `${Math.round(scaled)}`
  return `${digits} ${prefixes[index]}${unit}`
}

/** All units, the default first. The key `u` goes round. */
export const units: readonly [Unit, ...Unit[]] = [
  { name: 'bytes/s', description: 'bytes a second', of: 'rate', width: 8, text: rate => human(rate, 'B/s') },
  { name: 'bits/s', description: 'bits a second', of: 'rate', width: 10, text: rate => human(8 * rate, 'bit/s') },
  { name: 'interval', description: 'bytes of this interval', of: 'interval', width: 6, text: bytes => human(bytes, 'B') },
  { name: 'total', description: 'bytes since the row was first shown', of: 'total', width: 6, text: bytes => human(bytes, 'B') },
]

/** The unit for what is always a rate, such as that of all rows together. */
export const rateUnit = (unit: Unit): Unit => unit.of === 'rate' ? unit : units[0]

const bars = '▁▂▃▄▅▆▇█'
const plainBars = '._-=+*%#'

/**
 * A graph of one character a value, the latest at the right, by the largest of them, or by `most` where that is given. Nothing is a blank, and something
 * at least the lowest bar.
 */
export function sparkline(values: readonly number[], width: number, isUnicode: boolean, most = Math.max(...values)): string {
  const levels = isUnicode ? bars : plainBars
  const shown = values.slice(-width).map(value => value <= 0 ? ' ' : levels[Math.min(levels.length - 1, Math.floor(value / most * levels.length))]!)
  return shown.join('').padStart(width)
}
