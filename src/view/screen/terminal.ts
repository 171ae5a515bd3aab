import { cells } from '../../trace/index.js'
import type { Size, Tty } from '../../host/index.js'
import type { Picture } from './paint.js'
import { withoutStyle } from './style.js'

/** Private modes (xterm's ctlseqs, DECSET): the alternate screen, the cursor, wrapping, pasting in brackets, buttons of the mouse with SGR reports. */
const enter = '\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?2004h\x1b[?1000h\x1b[?1006h'
const leave = '\x1b[?1006l\x1b[?1000l\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l'
/** Synchronized output: the terminal shows what is between at once. Those that do not know it ignore it. */
const begin = '\x1b[?2026h'
const end = '\x1b[?2026l'

/**
 * Draws pictures on the alternate screen: the lines that changed, in one write each time. While a slow terminal still takes one picture the next ones
 * replace each other.
 */
export class ScreenTerminal {
  #shown: readonly string[] = []
  #size: Size | undefined
  #next: Picture | undefined
  #drawing: Promise<void> | undefined
  #isOpen = false

  constructor(readonly tty: Pick<Tty, 'size' | 'write' | 'writeNow' | 'setRaw' | 'restoreAtEnd'>) {}

  get isOpen(): boolean {
    return this.#isOpen
  }

  async open(): Promise<void> {
    this.#isOpen = true
    this.forget()
    this.tty.restoreAtEnd(leave)
    this.tty.setRaw(true)
    await this.tty.write(enter)
  }

  /** The terminal as it was before, with `lines` on the main screen. */
  async close(lines: readonly string[] = []): Promise<void> {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#next = undefined
    this.tty.setRaw(false)
    await this.#drawing
    await this.tty.write(leave + lines.map(line => `${line}\n`).join(''))
    this.tty.restoreAtEnd('')
  }

  /** The same when the process ends and nothing can be waited for. */
  closeNow(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.tty.setRaw(false)
    this.tty.writeNow(leave)
    this.tty.restoreAtEnd('')
  }

  /** The next picture is drawn as a whole. */
  forget(): void {
    this.#shown = []
    this.#size = undefined
  }

  /** Shows a picture, or a later one. Rejects as `write` does. */
  draw(picture: Picture): Promise<void> {
    this.#next = picture
    return this.#drawing ??= this.#drawAll().finally(() => {
      this.#drawing = undefined
    })
  }

  async #drawAll(): Promise<void> {
    for (let picture = this.#next; picture !== undefined && this.#isOpen; picture = this.#next) {
      this.#next = undefined
      await this.tty.write(this.#changes(picture))
    }
  }

  #changes({ lines, caret }: Picture): string {
    const size = this.tty.size()
    if (size?.rows !== this.#size?.rows || size?.columns !== this.#size?.columns) this.#shown = []
    this.#size = size
    const isWhole = this.#shown.length === 0
    const changed = lines.flatMap((line, row) => isWhole || line !== this.#shown[row] ? [`\x1b[${row + 1};1H${line}${isFull(line, size) ? '' : '\x1b[K'}`] : [])
    this.#shown = lines
    const cursor = caret === undefined ? '\x1b[?25l' : `\x1b[${caret.row + 1};${caret.column + 1}H\x1b[?25h`
    return `${begin}${isWhole ? '\x1b[H\x1b[2J' : ''}${changed.join('')}${cursor}${end}`
  }
}

/** Whether a line reaches the last cell, where the cursor stays: to erase from there would erase that. */
const isFull = (line: string, size: Size | undefined) => size !== undefined && cells(withoutStyle(line)) >= size.columns
