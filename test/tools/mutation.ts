import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mutations, nameOf } from '../../tools/mutation.js'

/** Up from dist/test/tools/. */
const at = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

test('every mutation still changes one place of its file, and names a test', () => {
  assert.ok(mutations.length > 60)
  for (const mutation of mutations) {
    assert.is(readFileSync(at(mutation.file), 'utf8').split(mutation.find).length, 2, nameOf(mutation))
    assert.ok(existsSync(at(mutation.test)), nameOf(mutation))
  }
})

test.run()
