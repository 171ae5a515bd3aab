import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { backends } from '../src/backend/index.js'
import { commands } from '../src/command/index.js'
import { specs } from '../src/option/index.js'
import { groupings } from '../src/view/grouping.js'
import { formats } from '../src/view/index.js'
import { compile } from './e2e/workload.js'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const options = Object.keys(specs).map(name => `--${name}`)

for (const [document, text] of [['README.md', read('README.md')], ['tools/tcptop.8', read('tools/tcptop.8').replaceAll('\\-', '-')]] as const) {
  test(`${document} tells of every option, format, grouping, backend and command`, () => {
    assert.ok(options.length > 15)
    for (const word of [...options, ...[...formats, ...groupings, ...backends, ...commands].map(({ name }) => name)]) {
      assert.ok(text.includes(word), word)
    }
  })
}

test('README.md tells what each backend cannot see, as -v does', () => {
  for (const limit of new Set(backends.flatMap(({ variants }) => variants.flatMap(({ limits }) => limits)))) {
    assert.ok(read('README.md').includes(`- ${limit}\n`), limit)
  }
})

test('README.md says how many programs the workload has', () => {
  assert.match(read('README.md'), new RegExp(`\\bholds ${compile().length} programs\\b`))
})

test.run()
