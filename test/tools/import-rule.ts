import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { check, circles, upward, violations } from '../../tools/import-rule.js'

const cases: readonly (readonly [file: string, source: string, wrong: RegExp | undefined])[] = [
  ['bpf-asm/insn.ts', `import { Alu } from './opcode.js'`, undefined],
  ['bpf-asm/insn.ts', `import { readFileSync } from 'node:fs'`, /must not import node:fs/],
  ['bpf-asm/insn.ts', `import type { Row } from '../src/frame/row.js'`, /must not import src\/frame\/row/],
  ['syscall/map.ts', `import { list } from '../bpf-asm/index.js'`, /must not import bpf-asm\/index/],
  ['src/backend/plan.ts', `import { assemble } from '../../bpf-asm/index.js'`, undefined],
  ['src/backend/plan.ts', `import { assemble } from '../../bpf-asm/assemble.js'`, /must enter bpf-asm through its index/],
  ['src/backend/plan.ts', `export { assemble } from '../../bpf-asm/assemble.js'`, /must enter bpf-asm through its index/],
  ['src/backend/plan.ts', `import {\n  a,\n  b,\n} from '../../tools/test.js'`, /must not import tools\/test/],
  ['src/frame/frames.ts', `import { formats } from '../view/index.js'`, /must not import src\/view\/index/],
  ['src/view/json.ts', `import { trace } from '../frame/frames.js'`, /must enter src\/frame through its index/],
  ['src/main.ts', `import yargs from 'yargs'`, /must not import yargs/],
  ['src/main.ts', `const fs = await import('node:fs')`, /must not import node:fs/],
  ['src/backend/plan.ts', `type Trace = import('node:fs').Stats`, /must not import node:fs/],
  ['src/view/grouping.ts', `import { key } from '../row-key.js'`, /must not import src\/row-key/],
  ['tools/tracer/funccount.ts', `import { walk } from 'tcptop/trace'`, undefined],
  ['tools/tracer/funccount.ts', `import { walk } from '../../src/trace/index.js'`, /must not import src\/trace\/index/],
  ['src/new.ts', '', /has no entry/],
  ['src/settings.ts', '', /has no entry/],
]

for (const [file, source, wrong] of cases) {
  test(`${file}: ${JSON.stringify(source)} is ${wrong === undefined ? 'fine' : 'refused'}`, () => {
    const found = violations(file, source)
    if (wrong === undefined) assert.equal(found, [])
    else assert.match(found.join('\n'), wrong)
  })
}

test('a circle of imports is found, of types and through an index too, and nothing else is', () => {
  const sources = (entries: Readonly<Record<string, string>>) => new Map(Object.entries(entries))
  assert.equal(circles(sources({
    'src/a/index.ts': `export { one } from './one.js'`,
    'src/a/one.ts': `import {\n  type Two,\n  two,\n} from './two.js'\nimport { text } from 'node:fs'`,
    'src/a/two.ts': `import type { One } from './index.js'`,
    'src/b.ts': `import { one } from './a/one.js'\nimport { none } from './none.js'`,
  })), ['src/a/index → src/a/one → src/a/two → src/a/index'])
  assert.equal(circles(sources({ 'a.ts': `import './b.js'\nimport './c.js'`, 'b.ts': `import './c.js'`, 'c.ts': '' })), [])
})

test('every import of the house keeps to the rule', () => {
  assert.equal(check(fileURLToPath(new URL('../../..', import.meta.url))), [])
})

test('imports go down only', () => {
  assert.equal(upward(), [])
})

test.run()
