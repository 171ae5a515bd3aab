/** Blocks of the pages under tools/doc that are derived from the code, each between two comments that name it. */

const marks = (name: string) => [`<!-- ${name} -->\n`, `<!-- /${name} -->`] as const

/** The block of a page. Throws when the page has no such block. */
export function blockOf(page: string, name: string): string {
  const [from, to] = place(page, name)
  return page.slice(from, to)
}

/** The page with another text in that block. Throws when the page has no such block. */
export function withBlock(page: string, name: string, text: string): string {
  const [from, to] = place(page, name)
  return `${page.slice(0, from)}${text}${page.slice(to)}`
}

function place(page: string, name: string): readonly [from: number, to: number] {
  const [start, end] = marks(name)
  const [before, after] = [page.indexOf(start), page.indexOf(end)]
  if (before < 0 || after < before) throw new Error(`the page has no block ${name}`)
  return [before + start.length, after]
}

/** What the table of limitations needs to know of a variant. */
export interface LimitedVariant {
  readonly backend: string
  /** What its kernel has, such as `Linux 5.12 with BTF`. */
  readonly needs: string
  readonly limits: readonly string[]
}

/** A line of a table in Markdown. */
export function tableRow(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |\n`
}

/** The known limitations as a table in Markdown: a line for each, a column for each variant, in the order in which they are given. */
export function limitTable(variants: readonly LimitedVariant[]): string {
  const limits = [...new Set(variants.flatMap(({ limits }) => limits))]
  return [
    tableRow(['limitation', ...variants.map(({ backend, needs }) => `\`${backend}\`, ${needs}`)]),
    tableRow(['---', ...variants.map(() => ':-:')]),
    ...limits.map(limit => tableRow([limit, ...variants.map(({ limits }) => limits.includes(limit) ? '×' : '')])),
  ].join('')
}
