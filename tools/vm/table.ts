import { tableRow } from '../page.js'

/** What the cases came to with a backend on a kernel: `exact`, or why not. */
export interface MatrixColumn {
  /** Its release, and its architecture if that is not the usual one. */
  readonly kernel: string
  readonly backend: string
  readonly outcomes: ReadonlyMap<string, string>
}

/**
 * A table in Markdown: a line for each case that is not exact everywhere, one for all others, a column for each kernel and backend, and
 * below it the reasons by number.
 */
export function tableOf(columns: readonly MatrixColumn[]): string {
  const cases = [...new Set(columns.flatMap(({ outcomes }) => [...outcomes.keys()]))]
  const reasons: string[] = []
  const cell = (outcome: string | undefined) => {
    if (outcome === 'exact') return outcome
    const reason = outcome ?? 'not run'
    if (!reasons.includes(reason)) reasons.push(reason)
    return `(${reasons.indexOf(reason) + 1})`
  }
  const isExact = (name: string) => columns.every(({ outcomes }) => outcomes.get(name) === 'exact')
  const exceptions = cases.filter(name => !isExact(name))
  return [
    tableRow(['case', ...columns.map(({ kernel, backend }) => `${kernel} ${backend}`)]),
    tableRow(['---', ...columns.map(() => '---')]),
    tableRow([`${cases.length - exceptions.length} cases`, ...columns.map(() => 'exact')]),
    ...exceptions.map(name => tableRow([`\`${name}\``, ...columns.map(({ outcomes }) => cell(outcomes.get(name)))])),
    '\n',
    ...reasons.map((reason, index) => `${index + 1}. ${reason}\n`),
  ].join('')
}
