/** A change that makes the program wrong, and the test that must fail then. */
export interface Mutation {
  /** The file that is changed, as seen from the root. */
  readonly file: string
  /** What is to be replaced: it is in the file once. */
  readonly find: string
  readonly replace: string
  /** The test file that must fail. */
  readonly test: string
}

/** How a change is called: where it is and what it does. */
export function nameOf({ file, find, replace, test }: Mutation): string {
  const short = (text: string) => text.trim().replace(/\s+/g, ' ')
  return `${file}: ${short(find)} → ${short(replace) || 'nothing'} (${test})`
}

/** Changes of one file that the same test notices. */
interface Changes {
  readonly file: string
  readonly test: string
  readonly changes: readonly (readonly [find: string, replace: string])[]
}

const groups: readonly Changes[] = [
  { file: 'src/program/counter.ts', test: 'test/program/connection.ts', changes: [['(r5, 16)', '(r5, 1)']] },
  { file: 'src/wasm/flow.ts', test: 'test/aggregate.ts', changes: [["if (who == own) return (load<u32>(value, Value.flags) & Flag.gone) != 0", "if (who == own) return false"]] },
]

/** All changes. */
export const mutations: readonly Mutation[] =
  groups.flatMap(({ file, test, changes }) => changes.map(([find, replace]) => ({ file, find, replace, test })))
