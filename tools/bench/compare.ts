import type { Result } from './result.js'

/** Figures by name, each in its unit; a text says why there is none. */
type Figures = ReadonlyMap<string, number | string>

/** Every figure that tells how dear something is: less is better. */
function figuresOf({ guests, drain, start, idle }: Result): Figures {
  return new Map<string, number | string>([
    ...Object.entries(guests).flatMap(([release, { overhead, start }]) => [
      ...overhead.map(({ connections, tool, what, added, reason }) =>
        [`Linux ${release}: ${tool === 'none' ? what : `${tool}, ${what}`}, ${connections} connections: instructions`, added ?? reason ?? 'none'] as const),
      ...start.map(({ what, cpu }) => [`Linux ${release}: start of ${what}: million instructions`, cpu] as const),
    ]),
    ...drain.flatMap(({ flows, cpu, peak }) => [[`drain of ${flows} flows: ms of CPU`, cpu], [`drain of ${flows} flows: MB`, peak]] as const),
    ...start.map(({ what, cpu }) => [`start of ${what}: ms of CPU`, cpu] as const),
    ...idle.flatMap(({ flows, share, peak }) => [[`at 1 s with ${flows} flows: % of a core`, 100 * share], [`at 1 s with ${flows} flows: MB`, peak]] as const),
  ])
}

/** What must be the same of two runs whose figures are compared. */
function placesOf({ machine, kernel, node, guests }: Result): ReadonlyMap<string, string> {
  return new Map([
    ['machine', machine], ['kernel', kernel], ['Node.js', node],
    ...Object.entries(guests).map(([release, guest]) => [`kernel of the guest ${release}`, guest.kernel] as const),
  ])
}

/**
 * Two runs in one table in Markdown, with how many times the second is the first. Throws where they were made on different machines or kernels, for
 * then it would not be the commits that differ.
 */
export function compare(one: Result, other: Result): string {
  const [places, otherPlaces] = [placesOf(one), placesOf(other)]
  const different = [...places].filter(([what, where]) => (otherPlaces.get(what) ?? where) !== where)
  if (different.length > 0) {
    throw new Error(`not comparable: ${different.map(([what, where]) => `the ${what} is ${where} in one and ${otherPlaces.get(what)} in the other`).join('; ')}`)
  }
  const [figures, otherFigures] = [figuresOf(one), figuresOf(other)]
  const row = (...cells: readonly string[]) => `| ${cells.join(' | ')} |\n`
  const text = (figure: number | string | undefined) => figure === undefined ? 'not measured' : typeof figure === 'string' ? figure : `${Number(figure.toFixed(2))}`
  const ratio = (before: number | string | undefined, after: number | string | undefined) =>
    typeof before === 'number' && typeof after === 'number' && before !== 0 ? (after / before).toFixed(3) : '–'
  const names = new Set([...figures.keys(), ...otherFigures.keys()])
  return [
    row('what', nameOf(one), nameOf(other), 'ratio'),
    row('---', '---', '---', '---'),
    ...[...names].map(name => row(name, text(figures.get(name)), text(otherFigures.get(name)), ratio(figures.get(name), otherFigures.get(name)))),
  ].join('')
}

const nameOf = ({ commit, modified }: Result) => `${commit.slice(0, 12)}${modified ? ', modified' : ''}`
