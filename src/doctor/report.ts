import { isHelpedByRoot } from '../host/index.js'
import { cells, jsonText } from '../trace/index.js'
import { checks, type Finding } from './check.js'
import { type Host, takenOf } from './host.js'

/** What the doctor says of a host. */
export interface Report {
  /** What `auto` takes; null when it takes none, and tcptop does not run. */
  readonly backend: string | null
  /** The known limitations of that. */
  readonly limits: readonly string[]
  /** What to type so that it does run, if that is known. */
  readonly command?: string
  readonly findings: readonly (Finding & { readonly name: string })[]
}

/** Changes when a field is renamed, removed or means something else; new fields do not change it. */
const version = 1

/** `own` is the command that starts tcptop. */
export function reportOf(host: Host, own: readonly string[] = ['tcptop']): Report {
  const taken = takenOf(host)
  return {
    backend: taken?.backend ?? null,
    limits: taken?.variant?.limits ?? [],
    ...taken === undefined && isHelpedByRoot(host.power) ? { command: ['sudo', ...own].map(quoted).join(' ') } : {},
    findings: checks.map(({ name, find }) => ({ name, ...find(host) })),
  }
}

/** Cells of a line where no terminal has another width. */
const usual = 80

/** A page for people, of lines that break at words: first whether it runs here, why not and what to run then, and at last what was found. */
export function reportText({ backend, limits, command, findings }: Report, width = usual): string {
  const reasons = findings.filter(why)
  const head = backend === null
    ? [
        `tcptop does not run here${reasons.length > 0 ? ':' : '.'}`,
        ...reasons.flatMap(({ name, found, remedy }) => wrap(`${name}: ${remedy ?? found}`, width, '- ')),
        ...command === undefined ? [] : ['', 'Run:', `  ${command}`],
      ]
    : [...wrap(`tcptop runs here: auto takes ${backend}.`, width)]
  const rest = backend === null ? [] : [
    '', ...wrap('Known limitations:', width), ...limits.flatMap(limit => wrap(limit, width, '- ')),
  ]
  const names = Math.max(...findings.map(({ name }) => name.length))
  const lines = findings.flatMap(({ name, verdict, found, remedy }) => [
    ...wrap(found, width, `${name.padEnd(names)}  ${verdict.padEnd(7)}  `),
    ...remedy === undefined ? [] : wrap(`remedy: ${remedy}`, width, ' '.repeat(names + 11)),
  ])
  return [...head, '', ...lines, ...rest].map(line => `${line.trimEnd()}\n`).join('')
}

/** What is known to be in the way; what is not known is so where it can be helped. */
function why({ verdict, remedy }: Finding): boolean {
  return verdict === 'no' || (verdict === 'unknown' && remedy !== undefined)
}

/** As a shell takes it. */
function quoted(word: string): string {
  return /^[\w./@%+=:,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

/** Lines of at most so many cells, if its words allow it: `first` is before the first one, and the others stand below what follows it. */
function wrap(text: string, width: number, first = ''): string[] {
  // A command between backticks is one word, for it is to be pasted.
  const [head = '', ...words] = text.match(/(?:`[^`]*`|\S)+/g) ?? []
  const lines = [`${first}${head}`]
  for (const word of words) {
    const longer = `${lines.at(-1)} ${word}`
    if (cells(longer) <= width) lines[lines.length - 1] = longer
    else lines.push(`${' '.repeat(first.length)}${word}`)
  }
  return lines
}

/** The same as an object of one line. */
export function reportJson({ backend, limits, findings }: Report): string {
  const checks = findings.map(({ name, verdict, found, remedy = null }) => ({ name, verdict, found, remedy }))
  return `${jsonText({ v: version, runs: backend !== null, backend, limits, checks })}\n`
}
