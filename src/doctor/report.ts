import { checks, type Finding } from './check.js'
import { jsonText } from '../trace/index.js'
import type { Host } from './host.js'

/** What the doctor says of a host. */
export interface Report {
  /** What `auto` takes; null when it takes none, and tcptop does not run. */
  readonly backend: string | null
  /** What that sees in another way than one would think. */
  readonly limits: readonly string[]
  readonly findings: readonly (Finding & { readonly name: string })[]
}

/** Changes when a field is renamed, removed or means something else; new fields do not change it. */
const version = 1

export function reportOf(host: Host): Report {
  const taken = host.trials.find(({ variant }) => variant !== undefined)
  return {
    backend: taken?.backend ?? null,
    limits: taken?.variant?.limits ?? [],
    findings: checks.map(({ name, find }) => ({ name, ...find(host) })),
  }
}

/** A page for people. */
export function reportText({ backend, limits, findings }: Report): string {
  const width = Math.max(...findings.map(({ name }) => name.length))
  return [
    ...findings.flatMap(({ name, verdict, found, remedy }) => [
      `${name.padEnd(width)}  ${verdict.padEnd(7)}  ${found}`,
      ...remedy === undefined ? [] : [`${' '.repeat(width + 11)}remedy: ${remedy}`],
    ]),
    '',
    ...backend === null ? ['tcptop does not run here.'] : [
      `tcptop runs here: auto takes ${backend}. What it misses, or sees in another way than one would think:`,
      ...limits.map(limit => `- ${limit}`),
    ],
  ].map(line => `${line}\n`).join('')
}

/** The same as an object of one line. */
export function reportJson({ backend, limits, findings }: Report): string {
  const checks = findings.map(({ name, verdict, found, remedy = null }) => ({ name, verdict, found, remedy }))
  return `${jsonText({ v: version, runs: backend !== null, backend, limits, checks })}\n`
}
