import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { blockOf, limitTable, withBlock } from '../../tools/page.js'

const page = 'before\n<!-- one -->\nold\n<!-- /one -->\nafter\n'

test('a block is replaced, and the rest of the page is not', () => {
  assert.is(blockOf(page, 'one'), 'old\n')
  assert.is(withBlock(page, 'one', 'new $1\n'), page.replace('old', () => 'new $1'))
})

test('a page without the block, or with half of it, is refused', () => {
  for (const broken of ['', '<!-- one -->\n', '<!-- /one -->\n<!-- one -->\n']) assert.throws(() => withBlock(broken, 'one', ''), /the page has no block one/)
})

test('the table has a line for each limitation and a column for each variant', () => {
  const variants = [{ backend: 'a', needs: 'Linux 1', limits: ['x', 'y'] }, { backend: 'b', needs: 'Linux 2', limits: ['y', 'z'] }]
  assert.is(limitTable(variants), [
    '| limitation | `a`, Linux 1 | `b`, Linux 2 |', '| --- | :-: | :-: |', '| x | × |  |', '| y | × | × |', '| z |  | × |', '',
  ].join('\n'))
})

test.run()
