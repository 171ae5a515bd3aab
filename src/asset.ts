import { readFileSync } from 'node:fs'

/** The aggregation: as deep below the root from dist/src as from dist/bin, where all is bundled. */
export const aggregateUrl = new URL('../wasm/aggregate.wasm', import.meta.url)

/** The version of the package, as package.json has it. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { readonly version: string }).version
}
