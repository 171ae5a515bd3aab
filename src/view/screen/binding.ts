import { groupings } from '../grouping.js'
import type { Input } from './key.js'
import { filterText, type TableLine, sortable, type State, withoutSums } from './state.js'
import { units } from './unit.js'

/** What a key asks of the world outside the state. */
export type Effect = 'quit' | 'regroup' | 'save' | 'interval' | 'suspend' | 'redraw'

/** A state, and what is to be done. */
export interface Reaction {
  readonly state: State
  readonly effect?: Effect
}

/** What a key can see of the screen. */
export interface Seen {
  /** All lines of the table, in order. */
  readonly table: readonly TableLine[]
  /** How many of them fit on the screen. */
  readonly page: number
  /** The column at a place of the header; undefined elsewhere. */
  columnAt(row: number, column: number): string | undefined
}

/** A key and what it does. */
export interface Binding {
  readonly keys: readonly string[]
  /** What the help shows of its keys, and what they do; a binding without text has the text of another. */
  readonly help?: readonly [keys: string, text: string]
  press(state: State, seen: Seen, key: string): Reaction | State
}

const least = 0.1
const most = 3600
const steps = [0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600]

function moved(state: State, { table: lines, page }: Seen, by: (place: number) => number): State {
  if (lines.length === 0) return state
  // Before the first where no row is chosen.
  const place = lines.findIndex(({ entry }) => entry.key === state.cursor)
  const next = Math.min(lines.length - 1, Math.max(0, by(place)))
  return { ...state, cursor: lines[next]!.entry.key, top: inView(state.top, next, page) }
}

/** The top that leaves a place on the screen, changed as little as possible. */
function inView(top: number, place: number, page: number): number {
  return Math.max(0, Math.min(place, Math.max(top, place - page + 1)))
}

function scrolled(state: State, { table: lines, page }: Seen, by: number): State {
  return { ...state, top: Math.max(0, Math.min(Math.max(0, lines.length - page), state.top + by)) }
}

/** Sorts by a column; once more reverses the order. */
function sortedBy(state: State, name: string | undefined): State {
  if (name === undefined) return state
  return { ...state, sort: name, isReversed: state.sort === name && !state.isReversed, frozen: undefined }
}

function sortedNext(state: State, by: 1 | -1): State {
  const names = sortable(state).map(({ name }) => name)
  const place = names.indexOf(state.sort)
  const next = place < 0 ? (by > 0 ? 0 : names.length - 1) : (place + by + names.length) % names.length
  return { ...state, sort: names[next]!, isReversed: false, frozen: undefined }
}

function faster(state: State, isFaster: boolean): Reaction {
  const next = isFaster ? steps.findLast(step => step < state.interval) : steps.find(step => step > state.interval)
  const interval = Math.min(most, Math.max(least, next ?? state.interval))
  return { state: { ...state, interval, message: `every ${interval} s` }, effect: 'interval' }
}

const nextOf = <Value>(values: readonly Value[], value: Value): Value => values[(values.indexOf(value) + 1) % values.length]!

function pausedOrNot(state: State): Reaction {
  return { state: { ...state, isPaused: !state.isPaused }, effect: 'interval' }
}

/** A row is chosen, or the first one. */
function chosen(state: State, seen: Seen): State {
  return seen.table.some(({ entry }) => entry.key === state.cursor) ? state : { ...state, cursor: seen.table[0]?.entry.key }
}

function folded(state: State, seen: Seen): State {
  const parents = seen.table.filter(({ isChild }) => !isChild)
  const place = seen.table.findIndex(({ entry }) => entry.key === state.cursor)
  const parent = seen.table.slice(0, place + 1).findLast(({ isChild }) => !isChild) ?? parents[0]
  if (parent === undefined) return state
  const keys = new Set(state.folded)
  if (!keys.delete(parent.entry.key)) keys.add(parent.entry.key)
  return { ...state, folded: keys, cursor: parent.entry.key }
}

/** Every key of the table, in the order of the help. */
export const bindings: readonly Binding[] = [
  { keys: ['q', 'ctrl-c'], help: ['q', 'quit'], press: state => ({ state, effect: 'quit' }) },
  { keys: ['up', 'k'], help: ['↑↓ j k', 'choose a row'], press: (state, seen) => moved(state, seen, place => place - 1) },
  { keys: ['down', 'j'], press: (state, seen) => moved(state, seen, place => place + 1) },
  { keys: ['page-up', 'ctrl-b'], help: ['PgUp PgDn', 'page up or down'], press: (state, seen) => moved(state, seen, place => place - seen.page) },
  { keys: ['page-down', 'ctrl-f'], press: (state, seen) => moved(state, seen, place => place + seen.page) },
  { keys: ['home', 'g'], help: ['g G', 'first or last row'], press: (state, seen) => moved(state, seen, () => 0) },
  { keys: ['end', 'G'], press: (state, seen) => moved(state, seen, () => Infinity) },
  { keys: ['enter'], help: ['Enter', 'details of the row'], press: (state, seen) => ({ ...chosen(state, seen), mode: 'detail', scroll: 0 }) },
  { keys: ['left', '<'], help: ['← → < >', 'sort by another column'], press: state => sortedNext(state, -1) },
  { keys: ['right', '>'], press: state => sortedNext(state, 1) },
  {
    keys: ['1', '2', '3', '5', '7', '8', '9'], help: ['1 2 3 5', 'sort by that column'],
    press: (state, _, key) => sortedBy(state, sortable(state)[Number(key) - 1]?.name),
  },
  { keys: ['s'], help: ['s', 'sort by all, sent, received'], press: state => ({ ...state, sort: nextOf(['all', 'tx', 'rx'], state.sort), isReversed: false, frozen: undefined }) },
  { keys: ['r'], help: ['r', 'reverse the order'], press: state => ({ ...state, isReversed: !state.isReversed, frozen: undefined }) },
  {
    keys: ['o'], help: ['o', 'freeze the order of rows'],
    press: (state, { table: lines }) => ({ ...state, frozen: state.frozen === undefined ? lines.map(({ entry }) => entry.key) : undefined }),
  },
  { keys: ['/'], help: ['/', 'filter rows; Esc clears it'], press: state => ({ ...state, mode: 'filter' }) },
  { keys: ['escape'], press: state => ({ ...state, filter: '' }) },
  { keys: [' '], help: ['Space', 'pause; in the tree: fold'], press: (state, seen) => state.isTree ? folded(state, seen) : pausedOrNot(state) },
  { keys: ['p', 'Z'], help: ['p', 'pause; the kernel counts on'], press: pausedOrNot },
  {
    keys: ['b', 'tab'], help: ['b Tab', 'next grouping'],
    press: state => ({ state: { ...state, grouping: nextOf(groupings, state.grouping), isTree: false, sort: kept(state) }, effect: 'regroup' }),
  },
  { keys: ['t'], help: ['t', 'tree: process, connections'], press: state => ({ state: { ...state, isTree: !state.isTree, sort: kept(state) }, effect: 'regroup' }) },
  { keys: ['u'], help: ['u', 'next unit: rates, sums'], press: state => named({ ...state, unit: nextOf(units, state.unit) }, ({ unit }) => unit.description) },
  {
    keys: ['n'], help: ['n', 'names of services, of hosts'],
    press: state => named({ ...state, names: nextOf(['numbers', 'services', 'hosts'] as const, state.names) }, ({ names }) => `names: ${names}`),
  },
  { keys: ['c'], help: ['c', 'command lines'], press: state => ({ ...state, showsCommands: !state.showsCommands }) },
  { keys: ['4'], help: ['4 6', 'IPv4 or IPv6 only'], press: state => ({ ...state, family: state.family === 4 ? undefined : 4 }) },
  { keys: ['6'], press: state => ({ ...state, family: state.family === 6 ? undefined : 6 }) },
  { keys: ['+', '='], help: ['+ -', 'shorter, longer interval'], press: state => faster(state, true) },
  { keys: ['-'], press: state => faster(state, false) },
  { keys: ['w'], help: ['w', 'write the frame to a file'], press: state => ({ state, effect: 'save' }) },
  { keys: ['R'], help: ['R', 'reset totals and peaks'], press: state => named(withoutSums(state), () => 'totals are reset') },
  { keys: ['ctrl-l'], press: state => ({ state, effect: 'redraw' }) },
  { keys: ['ctrl-z'], press: state => ({ state, effect: 'suspend' }) },
  { keys: ['?', 'h', 'f1'], help: ['? h', 'this help'], press: state => ({ ...state, mode: 'help', scroll: 0 }) },
]

/** A sort key that every grouping has. */
const kept = ({ sort }: State) => ['all', 'rx', 'tx'].includes(sort) ? sort : 'all'

const named = (state: State, text: (state: State) => string): State => ({ ...state, message: text(state) })

const byKey = new Map(bindings.flatMap(binding => binding.keys.map(key => [key, binding] as const)))

/** What an input does. */
export function press(state: State, input: Input, seen: Seen): Reaction {
  const quiet = state.message === undefined ? state : { ...state, message: undefined }
  if ('wheel' in input) return { state: scrolled(quiet, seen, input.wheel) }
  if ('click' in input) return { state: sortedBy(quiet, seen.columnAt(input.click.row, input.click.column)) }
  if ('pasted' in input) return { state: quiet.mode === 'filter' ? { ...quiet, filter: quiet.filter + filterText(input.pasted) } : quiet }
  const { key } = input
  if (key === 'ctrl-c') return { state: quiet, effect: 'quit' }
  if (quiet.mode === 'filter') return { state: typed(quiet, key) }
  const lines = scrollKeys[key]
  if (quiet.mode !== 'table' && lines !== undefined) return { state: { ...quiet, scroll: Math.max(0, quiet.scroll + lines) } }
  if (quiet.mode !== 'table' && (key === 'escape' || key === 'q' || key === 'enter' || (quiet.mode === 'help' && ['?', 'h', 'f1'].includes(key)))) {
    return { state: { ...quiet, mode: 'table' } }
  }
  const reaction = byKey.get(key)?.press(quiet, seen, key) ?? quiet
  return 'grouping' in reaction ? { state: reaction } : reaction
}

/** Lines by which keys move a text that is longer than the screen. */
const scrollKeys: Readonly<Record<string, number>> = { up: -1, k: -1, down: 1, j: 1, 'page-up': -5, 'page-down': 5 }

/** A key while the filter is typed: it applies at once. */
function typed(state: State, key: string): State {
  switch (key) {
    case 'enter': return { ...state, mode: 'table' }
    case 'escape': return { ...state, mode: 'table', filter: '' }
    case 'backspace': return { ...state, filter: [...state.filter].slice(0, -1).join('') }
    case 'ctrl-u': return { ...state, filter: '' }
    case 'ctrl-w': return { ...state, filter: state.filter.replace(/\S+\s*$/, '') }
    default: return [...key].length === 1 ? { ...state, filter: state.filter + filterText(key), top: 0 } : state
  }
}
