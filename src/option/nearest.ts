/** The name that a user most likely meant: the one that is made of `text` by the fewest changes, at most a third of its letters; undefined without one. */
export function nearest(text: string, names: readonly string[]): string | undefined {
  const ranked = names.map(name => ({ name, changes: name.startsWith(text) && text.length > 1 ? 1 : changesTo(text, name) }))
    .filter(({ name, changes }) => changes <= Math.max(1, Math.floor(name.length / 3)))
  return ranked.sort((one, other) => one.changes - other.changes)[0]?.name
}

/** Letters to insert, delete, replace, or swap with the next, at least: optimal string alignment. */
function changesTo(from: string, to: string): number {
  const rows = [Array.from({ length: to.length + 1 }, (_, index) => index)]
  for (let row = 1; row <= from.length; row++) {
    const next = [row]
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1]
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      next.push(Math.min(
        rows[row - 1]![column]! + 1, next[column - 1]! + 1, rows[row - 1]![column - 1]! + (same ? 0 : 1),
        swapped ? rows[row - 2]![column - 2]! + 1 : Infinity,
      ))
    }
    rows.push(next)
  }
  return rows[from.length]![to.length]!
}

/** `; did you mean …?`, or nothing. */
export function suggestion(text: string, names: readonly string[]): string {
  const name = nearest(text, names)
  return name === undefined || name === text ? '' : `; did you mean ${name}?`
}
