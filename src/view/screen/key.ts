/** What a person did at the terminal. */
export type Input =
  /** A key by its name (`up`, `enter`, `ctrl-c` …), or the character that it types. */
  | { readonly key: string }
  | { readonly pasted: string }
  /** The wheel, in lines: negative is up. */
  | { readonly wheel: number }
  /** A click, from 0 at the top left. */
  | { readonly click: { readonly row: number; readonly column: number } }

/** Final bytes of CSI and SS3 sequences (ECMA-48; xterm's ctlseqs, "PC-Style Function Keys"). */
const finals: Readonly<Record<string, string>> = {
  A: 'up', B: 'down', C: 'right', D: 'left', H: 'home', F: 'end', P: 'f1', Q: 'f2', R: 'f3', S: 'f4', Z: 'back-tab',
}
/** Numbers of CSI sequences that end in `~`. */
const numbers: Readonly<Record<string, string>> = { 1: 'home', 3: 'delete', 4: 'end', 5: 'page-up', 6: 'page-down', 7: 'home', 8: 'end', 11: 'f1' }
const controls: Readonly<Record<string, string>> = { '\r': 'enter', '\n': 'enter', '\t': 'tab', '\x7f': 'backspace', '\b': 'backspace', '\x1b': 'escape' }

const pasteStart = '\x1b[200~'
const pasteEnd = '\x1b[201~'
/** Longer than any sequence of a key: what begins like one and does not end is not one. */
const longest = 32
/** Characters of a paste that are kept; a filter line needs no more. */
const longestPaste = 4096
const linesPerWheel = 3

/**
 * Decodes what a terminal sends. Sequences may arrive in pieces: what is not complete waits for the next `decode`, or for `flush`, which the caller
 * calls when nothing more came for a moment: an Escape that nothing follows is the key.
 */
export class KeyDecoder {
  #rest = ''

  /** Whether something waits for more, or for `flush`. */
  get isWaiting(): boolean {
    return this.#rest !== ''
  }

  decode(text: string): Input[] {
    this.#rest += text
    const inputs: Input[] = []
    for (;;) {
      const found = next(this.#rest)
      if (found === undefined) return inputs
      this.#rest = this.#rest.slice(found.length)
      if (found.input !== undefined) inputs.push(found.input)
    }
  }

  /** What waits, taken as it is: no more is coming. */
  flush(): Input[] {
    const rest = this.#rest
    this.#rest = ''
    if (rest.startsWith(pasteStart)) return [{ pasted: rest.slice(pasteStart.length, pasteStart.length + longestPaste) }]
    return rest === '\x1b' ? [{ key: 'escape' }] : []
  }
}

/** The first input of a text and the characters that it takes; no input of a sequence that means nothing here. Undefined while it is not complete. */
function next(text: string): { readonly input?: Input; readonly length: number } | undefined {
  const character = firstCharacter(text)
  if (character === undefined) return undefined
  if (character !== '\x1b') return typed(character)
  if (text.startsWith(pasteStart)) {
    const end = text.indexOf(pasteEnd)
    if (end < 0) return undefined
    return { input: { pasted: text.slice(pasteStart.length, Math.min(end, pasteStart.length + longestPaste)) }, length: end + pasteEnd.length }
  }
  if (text.length === 1) return undefined
  const sequence = /^\x1b(?:\[([\x30-\x3f]*)[\x20-\x2f]*([\x40-\x7e])|O([\x40-\x7e]))/.exec(text)
  if (sequence !== null) {
    const [{ length }, parameters = '', final = ''] = [sequence[0], sequence[1], sequence[2] ?? sequence[3]]
    const input = meaning(parameters, final)
    return input === undefined ? { length } : { input, length }
  }
  if (/^\x1b(?:\[[\x20-\x3f]*|O)$/.test(text) && text.length < longest) return undefined
  // Alt and a key, or Escape and then something else: the Escape counts.
  return { input: { key: 'escape' }, length: 1 }
}

/** A surrogate pair is one character; the first half of one waits for the other. */
function firstCharacter(text: string): string | undefined {
  if (text.length === 1 && /[\ud800-\udbff]/.test(text)) return undefined
  const code = text.codePointAt(0)
  return code === undefined ? undefined : String.fromCodePoint(code)
}

function typed(character: string): { readonly input?: Input; readonly length: number } {
  const { length } = character
  const key = controls[character]
  if (key !== undefined) return { input: { key }, length }
  if (character < ' ') return { input: { key: `ctrl-${String.fromCharCode(character.charCodeAt(0) + 0x60)}` }, length }
  return /[\x80-\x9f]/.test(character) ? { length } : { input: { key: character }, length }
}

/** What a sequence means; modifiers of arrows and the like are not looked at. */
function meaning(parameters: string, final: string): Input | undefined {
  if (parameters.startsWith('<') && (final === 'M' || final === 'm')) return mouse(parameters.slice(1), final === 'M')
  const [first = ''] = parameters.split(';')
  const key = final === '~' ? numbers[first] : finals[final]
  return key === undefined ? undefined : { key }
}

/** SGR mouse reports (xterm's ctlseqs, "SGR (1006)"): button, column and row from 1. */
function mouse(parameters: string, isPress: boolean): Input | undefined {
  const [button, column, row] = parameters.split(';').map(Number)
  if (button === undefined || column === undefined || row === undefined || !isPress) return undefined
  if (button === 64 || button === 65) return { wheel: button === 64 ? -linesPerWheel : linesPerWheel }
  return button === 0 ? { click: { row: row - 1, column: column - 1 } } : undefined
}
