import { cells } from '../../trace/index.js'
import type { Look, ScreenColumn } from './column.js'
import type { Entry } from './ledger.js'
import { withoutStyle } from './style.js'

/** A column with the cells that it gets. */
export interface Placed {
  readonly column: ScreenColumn
  readonly width: number
}

/** Cells with which a column has no reason to ask for more before others are shown: an IPv4 address with its port. */
const comfortable = 21
/** Cells between columns. */
export const gap = 1

/**
 * The columns that fit into so many cells: those with the highest rank go first where there is too little space; then each gets what it needs at
 * least, and the rest of the space goes to those whose texts are longer, those with the lowest rank first.
 */
export function layout(columns: readonly ScreenColumn[], entries: readonly Entry[], look: Look, width: number): Placed[] {
  const natural = new Map(columns.map(column => [column, naturalWidth(column, entries, look)]))
  const leastOf = (column: ScreenColumn) => Math.min(column.least, natural.get(column)!)
  let shown = [...columns]
  const needed = (widthOf: (column: ScreenColumn) => number) => shown.reduce((sum, column) => sum + widthOf(column) + gap, -gap)
  if (needed(column => Math.min(natural.get(column)!, comfortable)) > width) shown = shown.filter(({ isExtra }) => !isExtra)
  while (needed(leastOf) > width && shown.some(({ rank }) => rank > 0)) {
    const worst = Math.max(...shown.map(({ rank }) => rank))
    shown = shown.filter(({ rank }) => rank < worst)
  }
  let space = width - needed(leastOf)
  const widths = new Map(shown.map(column => [column, leastOf(column)]))
  // What is longer than most others gets more only when the rest has enough.
  for (const most of [comfortable, Infinity]) {
    for (const column of shown.toSorted((one, other) => one.rank - other.rank)) {
      const more = Math.max(0, Math.min(space, Math.min(most, natural.get(column)!) - widths.get(column)!))
      widths.set(column, widths.get(column)! + more)
      space -= more
    }
  }
  return shown.map(column => ({ column, width: widths.get(column)! }))
}

function naturalWidth(column: ScreenColumn, entries: readonly Entry[], look: Look): number {
  // One for the mark of the order.
  const header = column.header.length + 1
  return entries.reduce((most, entry) => Math.max(most, Math.min(column.most, cells(column.text(entry, look, Infinity)))), header)
}

/** Texts in order of importance, each with its place in the line: as many as fit, in the order in which they stand, with two blanks between. */
export function fitted(items: readonly (readonly [rank: number, text: string])[], width: number): string[] {
  const kept = new Set(items)
  const needed = () => [...kept].reduce((sum, [, text]) => sum + cells(withoutStyle(text)) + 2, -2)
  for (const item of items.toSorted(([one], [other]) => other - one)) {
    if (needed() <= width || kept.size === 1) break
    kept.delete(item)
  }
  return items.filter(item => kept.has(item)).map(([, text]) => text)
}
