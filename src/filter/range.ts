/** Whole numbers from one to another, both included. */
export interface Range {
  readonly from: number
  readonly to: number
}

/** Ranges in ascending order that neither overlap nor touch. */
export type RangeSet = readonly Range[]

/** The numbers that are in any of the ranges. */
export function union(ranges: readonly Range[]): RangeSet {
  const joined: Range[] = []
  for (const range of [...ranges].sort((one, other) => one.from - other.from)) {
    const last = joined.at(-1)
    if (last === undefined || range.from > last.to + 1) joined.push(range)
    else if (range.to > last.to) joined[joined.length - 1] = { from: last.from, to: range.to }
  }
  return joined
}

/** The numbers that are in both sets. */
export function intersection(one: RangeSet, other: RangeSet): RangeSet {
  const common: Range[] = []
  for (let [left, right] = [0, 0]; left < one.length && right < other.length;) {
    const [a, b] = [one[left]!, other[right]!]
    const [from, to] = [Math.max(a.from, b.from), Math.min(a.to, b.to)]
    if (from <= to) common.push({ from, to })
    if (a.to < b.to) left++
    else right++
  }
  return common
}

/** The numbers of one set that are not in the other. */
export function difference(one: RangeSet, other: RangeSet): RangeSet {
  const gaps = other.map(({ from }, index) => ({ from: index === 0 ? -Infinity : other[index - 1]!.to + 1, to: from - 1 }))
  return intersection(one, [...gaps, { from: other.length === 0 ? -Infinity : other.at(-1)!.to + 1, to: Infinity }])
}
