import type { Frame, Pace, Sink, Sort } from '../../frame/index.js'
import type { Tty } from '../../host/index.js'
import { stampText } from '../clock.js'
import type { Grouping } from '../grouping.js'
import { json } from '../json.js'
import { type Effect, press, type Seen } from './binding.js'
import { type Input, KeyDecoder } from './key.js'
import type { PickedRow } from './ledger.js'
import { Lookup, type Sources } from './lookup.js'
import { farewell, paint, type Picture, type Surface } from './paint.js'
import { keyed, keyOf } from './row-key.js'
import { connections, processes, regrouped, type ScreenFrame, type Start, startState, type State, withFrame } from './state.js'
import { styleFor } from './style.js'
import { ScreenTerminal } from './terminal.js'

/** What the screen needs of the world. */
export interface Surroundings {
  readonly tty: Tty
  readonly lookup: Lookup
  /** Writes a file that is not there yet. Throws Node's error. */
  writeNew(path: string, text: string): void
  /** How often frames come: the screen's keys change that. */
  readonly pace: Pace
  /** The user wants no more frames. */
  quit(): void
}

/** Milliseconds after which an Escape that nothing followed is the key. */
const escapeWaits = 25
/** Rows that are picked of a frame, the largest first; with a filter each row counts. */
const [pickedAtMost, filteredAtMost] = [1000, 20_000]

/**
 * The live screen: takes frames, and keys between them. On every way out, by `end` or by `close`, the terminal is as it was before.
 */
export class Screen implements Sink {
  readonly #terminal: ScreenTerminal
  readonly #decoder = new KeyDecoder()
  readonly #undo: (() => void)[] = []
  #state: State
  /** Before the last frame. */
  #before: State
  #latest: Frame | undefined
  #picture: Picture | undefined
  #flush: NodeJS.Timeout | undefined
  #failure: unknown

  constructor(start: Start, readonly rows: number, readonly world: Surroundings) {
    this.#state = this.#before = startState(start)
    this.#terminal = new ScreenTerminal(world.tty)
  }

  async start(): Promise<void> {
    const { tty } = this.world
    this.#undo.push(
      tty.onExit(() => this.#terminal.closeNow()),
      tty.onResize(() => this.redraw()),
      tty.onStop(() => void this.#suspend(), () => void this.#goOn()),
      tty.onInput(text => this.#type(text)),
    )
    await this.#terminal.open()
    this.redraw()
  }

  async frame(frame: Frame): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    this.#latest = frame
    this.#before = this.#state
    this.#state = withFrame(this.#state, this.#screenFrame(frame))
    this.redraw()
  }

  /** Leaves the last frame and the sums on the main screen. */
  async end(): Promise<void> {
    const lines = this.#state.frame === undefined ? [] : farewell(this.#worthSeeing(), this.#state, this.#surface())
    await this.#terminal.close(lines)
    this.close()
  }

  /** A last interval that somebody cut short after a moment shows nothing of what went on. */
  #worthSeeing(): State {
    const { frame, interval } = this.#state
    return this.#before.frame !== undefined && frame !== undefined && frame.interval < interval / 2 ? this.#before : this.#state
  }

  /** Gives the terminal back, whatever happened. */
  close(): void {
    clearTimeout(this.#flush)
    for (const undo of this.#undo.splice(0).reverse()) undo()
    this.#terminal.closeNow()
  }

  /** Paints the state; what cannot be written is thrown with the next frame. */
  redraw(): void {
    if (!this.#terminal.isOpen) return
    this.#picture = paint(this.#state, this.#surface())
    this.#terminal.draw(this.#picture).catch((error: unknown) => {
      this.#failure ??= error
      this.world.quit()
    })
  }

  #surface(): Surface {
    const { tty, lookup } = this.world
    const size = tty.size() ?? { rows: 24, columns: 80 }
    return {
      size, rows: this.rows, style: styleFor(tty.hasColour), isUnicode: tty.isUnicode, names: lookup, details: pid => lookup.details(pid),
      hasKeys: tty.hasKeys,
    }
  }

  #type(text: string): void {
    clearTimeout(this.#flush)
    for (const input of this.#decoder.decode(text)) this.#react(input)
    if (!this.#decoder.isWaiting) return
    this.#flush = setTimeout(() => {
      for (const input of this.#decoder.flush()) this.#react(input)
    }, escapeWaits)
  }

  #react(input: Input): void {
    const seen: Seen = this.#picture ?? paint(this.#state, this.#surface())
    const before = this.#state
    const { state, effect } = press(before, input, seen)
    this.#state = state
    if (effect !== undefined) this.#act(effect)
    // Rows that were too small to be picked may fit the filter.
    if ((state.filter === '') !== (before.filter === '')) this.#pickAgain()
    this.redraw()
  }

  #act(effect: Effect): void {
    switch (effect) {
      case 'quit': return this.world.quit()
      case 'regroup': return this.#pickAgain()
      case 'interval': return this.world.pace.set(this.#state.interval, this.#state.isPaused)
      case 'save': return this.#save()
      case 'suspend': return void this.#suspend()
      case 'redraw': return this.#terminal.forget()
    }
  }

  #pickAgain(): void {
    if (this.#latest !== undefined) this.#state = regrouped(this.#state, this.#picked(this.#latest))
  }

  #screenFrame(frame: Frame): ScreenFrame {
    const { time, interval, loadavg, total, lost, missed, cost, flows } = frame
    return { time, interval, loadavg, total, lost, missed, cpu: cost.cpu, open: flows, active: frame.count(connections), ...this.#picked(frame) }
  }

  #picked(frame: Frame): Pick<ScreenFrame, 'rows' | 'children' | 'count'> {
    const { grouping, isTree, filter } = this.#state
    const limit = filter === '' ? pickedAtMost : filteredAtMost
    const pick = (grouping: Grouping): PickedRow[] => pickedRows(frame, grouping, limit)
    return isTree ? { rows: pick(processes), children: pick(connections), count: frame.count(processes) } : { rows: pick(grouping), count: frame.count(grouping) }
  }

  /** Writes the rows of the last frame as JSON, all of them. */
  #save(): void {
    if (this.#latest === undefined) return
    const { grouping } = this.#state
    const rows = this.#latest.pick({ grouping, sort: grouping.sorts.get('all')!, limit: Infinity })
    const path = `tcptop-${stampText(this.#latest.time)}.json`
    try {
      this.world.writeNew(path, json.frame({ ...this.#latest, rows }, { grouping, summary: true }))
      this.#state = { ...this.#state, message: `written to ${path}` }
    } catch (error) {
      this.#state = { ...this.#state, message: `cannot write ${path}: ${(error as Error).message}` }
    }
  }

  async #suspend(): Promise<void> {
    if (!this.#terminal.isOpen) return
    await this.#terminal.close()
    this.world.tty.stop()
  }

  async #goOn(): Promise<void> {
    if (!this.#terminal.isOpen) await this.#terminal.open()
    this.#terminal.forget()
    this.redraw()
  }
}

function pickedRows(frame: Frame, grouping: Grouping, limit: number): PickedRow[] {
  return frame.pick({ grouping: keyed(grouping), sort: grouping.sorts.get('all')!, limit }).map(row => ({ key: keyOf(row), row }))
}

/** What the live screen needs of the world. */
export interface LiveWorld extends Omit<Surroundings, 'lookup'>, Pick<Sources, 'readText' | 'reverse'> {
  readonly clock: { now(): number }
}

/** What the options let through and ask for. */
export interface LiveOptions {
  readonly grouping: Grouping
  /** One of the grouping's sorts. */
  readonly sort: Sort
  readonly rows?: number
  readonly interval: number
  readonly pids: readonly number[]
  readonly family?: 4 | 6
  readonly cgroup?: string
  readonly cgroupMap?: string
  readonly mntnsMap?: string
}

/** The live screen for these options. */
export function liveScreen(options: LiveOptions, backend: string, world: LiveWorld): Screen {
  const lookup: Lookup = new Lookup({ readText: world.readText, reverse: world.reverse, now: world.clock.now, arrived: () => screen.redraw() })
  const { grouping, interval } = options
  const start = { grouping, sort: columnOf(grouping, options.sort), interval, backend, restriction: restrictionOf(options) }
  const screen: Screen = new Screen(start, options.rows ?? Infinity, { ...world, lookup })
  return screen
}

/** The column of the screen that the command line sorts by. */
function columnOf({ sorts }: Grouping, wanted: Sort): string {
  const key = [...sorts].find(([, sort]) => sort === wanted)?.[0] ?? 'all'
  // A counter's key has the unit of the table in it.
  const [column = key] = key.split('_')
  return { sent: 'tx', received: 'rx', lport: 'laddr', rport: 'raddr' }[column] ?? column
}

/** What the options leave of all traffic, in words. */
function restrictionOf({ pids, family, cgroup, cgroupMap, mntnsMap }: LiveOptions): string {
  return [
    ...pids.length === 0 ? [] : [`pid ${pids.length > 5 ? `${pids.slice(0, 5).join()}…` : pids.join()}`],
    ...family === undefined ? [] : [`IPv${family}`],
    ...cgroup === undefined ? [] : [`cgroup ${cgroup}`],
    ...cgroupMap === undefined ? [] : [`cgroups of ${cgroupMap}`],
    ...mntnsMap === undefined ? [] : [`mount namespaces of ${mntnsMap}`],
  ].join(', ')
}
