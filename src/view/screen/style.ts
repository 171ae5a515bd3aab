/** How a text stands out. Its meaning is never in this alone. */
export type Emphasis = 'bold' | 'dim' | 'reverse' | 'red' | 'green' | 'cyan'

/** Makes a text stand out. */
export type Style = (text: string, ...emphases: readonly Emphasis[]) => string

/** Select Graphic Rendition (ECMA-48, 8.3.117); colours by the terminal's own palette of eight. */
const codes: Readonly<Record<Emphasis, number>> = { bold: 1, dim: 2, reverse: 7, red: 31, green: 32, cyan: 36 }
const isColour = (emphasis: Emphasis) => codes[emphasis] >= 30

/** For a terminal with colours, or without them: what is reversed, bold or dim stays so. */
export function styleFor(hasColour: boolean): Style {
  return (text, ...emphases) => {
    const wanted = emphases.filter(emphasis => hasColour || !isColour(emphasis))
    return wanted.length === 0 || text === '' ? text : `\x1b[${wanted.map(emphasis => codes[emphasis]).join(';')}m${text}\x1b[m`
  }
}

/** No emphasis at all: for text that is left on the main screen, and tests. */
export const plain: Style = text => text

/** The text without emphasis. */
export const withoutStyle = (text: string): string => text.replace(/\x1b\[[\d;]*m/g, '')
