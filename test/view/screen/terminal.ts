import xterm from '@xterm/headless'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Size } from '../../../src/host/index.js'
import { press } from '../../../src/view/screen/binding.js'
import { paint } from '../../../src/view/screen/paint.js'
import { type State, withFrame } from '../../../src/view/screen/state.js'
import { styleFor, withoutStyle } from '../../../src/view/screen/style.js'
import { ScreenTerminal } from '../../../src/view/screen/terminal.js'
import { Random } from '../../kit/random.js'
import { after, frame, longRow, row, surface } from './sample.js'

/** A terminal as a person has one, with a shell's text above. */
class Emulator {
  readonly terminal: InstanceType<typeof xterm.Terminal>
  readonly written: string[] = []
  isRaw = false

  constructor(public current: Size) {
    this.terminal = new xterm.Terminal({ rows: current.rows, cols: current.columns, allowProposedApi: true })
  }

  size = () => this.current
  restoreAtEnd = () => {}
  setRaw = (isRaw: boolean) => void (this.isRaw = isRaw)
  writeNow = (text: string) => void this.terminal.write(text)
  write = (text: string) => {
    this.written.push(text)
    return new Promise<void>(resolve => this.terminal.write(text.replaceAll('\n', '\r\n'), resolve))
  }

  resize(size: Size): void {
    this.current = size
    this.terminal.resize(size.columns, size.rows)
  }

  get lines(): string[] {
    const { active } = this.terminal.buffer
    return Array.from({ length: this.current.rows }, (_, row) => active.getLine(active.viewportY + row)?.translateToString(true).trimEnd() ?? '')
  }
}

const meant = (lines: readonly string[]) => lines.map(line => withoutStyle(line).trimEnd())

test('after random frames, keys and sizes the terminal shows what was meant, and nothing wraps', async () => {
  const random = new Random()
  const sizeOf = () => ({ rows: 3 + random.below(50), columns: 20 + random.below(150) })
  const emulator = new Emulator(sizeOf())
  const screen = new ScreenTerminal(emulator)
  await screen.open()
  let state: State = after()
  for (let turn = 0; turn < 300; turn++) {
    const picture = () => paint(state, surface(emulator.current, { style: styleFor(true) }))
    if (random.chance(0.1)) emulator.resize(sizeOf())
    if (random.chance(0.5)) {
      state = withFrame(state, frame(Array.from({ length: random.below(60) }, () => random.pick([row, longRow])(random.below(100), random.below(1e8), random.below(1e4), {
        comm: random.pick(['nginx', '漢字漢字', 'é́', '\x1b[2J']),
      }))))
    } else {
      const { state: next } = press(state, { key: random.pick(['j', 'k', 'G', 'g', '?', 'escape', '/', 'n', 'enter', 's', 'r', 'u', '1', 'o', 'page-down']) }, picture())
      state = next
    }
    const shown = picture()
    await screen.draw(shown)
    assert.equal(emulator.lines.slice(0, shown.lines.length), meant(shown.lines), `turn ${turn}, SEED=${random.seed}`)
  }
})

test('a frame is one write with the lines that changed alone, shown at once', async () => {
  const emulator = new Emulator({ rows: 24, columns: 80 })
  const screen = new ScreenTerminal(emulator)
  await screen.open()
  const first = after(frame([row(1, 100, 0), row(2, 50, 0)]))
  const draw = (state: State) => screen.draw(paint(state, surface(emulator.current)))
  await draw(first)
  emulator.written.length = 0
  await draw({ ...first, cursor: 'connection 9', message: 'a message' })
  assert.is(emulator.written.length, 1)
  assert.match(emulator.written[0]!, /^\x1b\[\?2026h\x1b\[24;1Ha message\x1b\[K\x1b\[\?25l\x1b\[\?2026l$/)
})

test('the main screen is as before, with the last lines below', async () => {
  const emulator = new Emulator({ rows: 10, columns: 40 })
  await emulator.write('$ tcptop\n')
  const screen = new ScreenTerminal(emulator)
  await screen.open()
  assert.is(emulator.terminal.buffer.active.type, 'alternate')
  await screen.draw(paint(after(frame([row(1, 1, 1)])), surface(emulator.current)))
  await screen.close(['the last frame', 'the sums'])
  assert.is(emulator.terminal.buffer.active.type, 'normal')
  assert.equal(emulator.lines.slice(0, 4), ['$ tcptop', 'the last frame', 'the sums', ''])
  assert.is(emulator.terminal.buffer.active.baseY, 0)
  assert.not.ok(emulator.isRaw)
  assert.equal([emulator.terminal.modes.wraparoundMode, emulator.terminal.modes.bracketedPasteMode, emulator.terminal.modes.mouseTrackingMode], [true, false, 'none'])
})

test('a slow terminal gets the latest frame, not each one', async () => {
  const emulator = new Emulator({ rows: 10, columns: 40 })
  const screen = new ScreenTerminal(emulator)
  await screen.open()
  emulator.written.length = 0
  const pictures = Array.from({ length: 20 }, (_, index) => paint(after(frame([row(index, 1000, 0)])), surface(emulator.current)))
  await Promise.all(pictures.map(picture => screen.draw(picture)))
  assert.is(emulator.written.length, 2)
  assert.equal(emulator.lines, meant(pictures.at(-1)!.lines))
})

test('what is drawn after the end is dropped', async () => {
  const emulator = new Emulator({ rows: 10, columns: 40 })
  const screen = new ScreenTerminal(emulator)
  await screen.open()
  screen.closeNow()
  emulator.written.length = 0
  await screen.draw(paint(after(), surface(emulator.current)))
  assert.equal(emulator.written, [])
})

test.run()
