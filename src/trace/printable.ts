/**
 * What of a text from outside may reach a terminal, a log or another program, and how many cells it takes there. Processes choose their names,
 * users those of files and cgroups: an escape sequence in one must not do anything, and a direction mark must not reorder the line.
 */

/** What is made when it is first needed: V8 takes up to 4 ms to read a pattern with properties of Unicode, and most texts need none. */
function lazy<T>(make: () => T): () => T {
  let made: T | undefined
  return () => made ??= make()
}

const plain = /^[\x20-\x7e]*$/
/**
 * What has no shape of its own: C0, DEL, C1, format characters (bidirectional marks among them), lone surrogates, private and unassigned
 * characters, separators of lines and paragraphs, and what is ignored by default, such as fillers and variation selectors.
 */
const shapeless = lazy(() => new RegExp('[\\p{C}\\p{Zl}\\p{Zp}\\p{Default_Ignorable_Code_Point}]', 'gu'))
/** Marks that are drawn over the character before them, the vowels and final consonants of Hangul among them. */
const combining = lazy(() => new RegExp('[\\p{Mn}\\p{Me}\\u1160-\\u11ff\\ud7b0-\\ud7ff]', 'u'))
/**
 * Wide and fullwidth characters (Unicode's EastAsianWidth.txt: W and F). Regional indicators are a cell each, as a pair of them is one flag. Blocks
 * are whole here, for what is unassigned in them is not printed.
 */
const wide = lazy(() => new RegExp(`(?!\\p{Regional_Indicator})[\\p{Emoji_Presentation}${[
  '\\u1100-\\u115f', '\\u2329\\u232a', '\\u2e80-\\u303e', '\\u3041-\\u3247', '\\u3250-\\u4dbf', '\\u4e00-\\ua4cf', '\\ua960-\\ua97f',
  '\\uac00-\\ud7a3', '\\uf900-\\ufaff', '\\ufe10-\\ufe19', '\\ufe30-\\ufe6f', '\\uff01-\\uff60', '\\uffe0-\\uffe6', '\\u{16fe0}-\\u{18dff}',
  '\\u{1aff0}-\\u{1b2ff}', '\\u{1f200}-\\u{1f265}', '\\u{20000}-\\u{3fffd}',
].join('')}]`, 'u'))

/** The text with a `?` in the place of each character that has no shape of its own: one line, and nothing that a terminal obeys. */
export function printable(text: string): string {
  return plain.test(text) ? text : text.replace(shapeless(), '?')
}

/** How many cells of a terminal a printable text takes: 0 for a combining mark, 2 for a wide character. */
export function cells(text: string): number {
  if (plain.test(text)) return text.length
  let sum = 0
  for (const character of text) sum += cellsOf(character)
  return sum
}

function cellsOf(character: string): number {
  if (combining().test(character)) return 0
  return wide().test(character) ? 2 : 1
}

/** As much of the beginning of a printable text as fits into so many cells, with all marks of its last character. */
export function cut(text: string, width: number): string {
  if (cells(text) <= width) return text
  let [end, room] = [0, width]
  for (const character of text) {
    room -= cellsOf(character)
    if (room < 0) break
    end += character.length
  }
  return text.slice(0, end)
}

/** C's `%-Ns` and `%Ns`, in cells. */
export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const space = ' '.repeat(Math.max(0, width - cells(text)))
  return align === 'left' ? text + space : space + text
}

/** JSON in which every character without a shape of its own is a `\u` escape: it parses to the same value. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value)
  if (plain.test(text)) return text
  return text.replace(shapeless(), character =>
    Array.from({ length: character.length }, (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`).join(''))
}
