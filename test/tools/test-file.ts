import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { runTestFile } from '../../tools/test-file.js'

/** Runs a file of tests that has this body, in which a test may take four seconds: the process itself starts meanwhile. */
async function run(body: string) {
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-'))
  try {
    const path = join(folder, 'file.mjs')
    writeFileSync(path, `import { test } from '${import.meta.resolve('uvu')}'\n${body}\n`)
    return await runTestFile(path, 4)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const quick = "test('quick', () => {})\n"

test('a file whose tests take their time passes', async () => {
  const slow = "test('slow', () => new Promise(resolve => setTimeout(resolve, 2500)))\n"
  const { passed, failed } = await run(`${slow.repeat(2)}test.run()`)
  assert.equal([passed, failed], [2, 0])
})

for (const [how, forever] of [['waits', 'await new Promise(() => setInterval(() => {}, 1000))'], ['computes', 'for (;;);']] as const) {
  test(`a test that ${how} forever fails, and its name is printed`, async () => {
    const { failed, output } = await run(`${quick}test('this one', async () => { ${forever} })\ntest('never run', () => {})\ntest.run()`)
    assert.is(failed, 1)
    assert.match(output, '"this one" still ran after 4 s')
  })
}

test('what a test leaves running does not keep its file from ending', async () => {
  const { failed, output } = await run(`${quick}test('the last', () => void setInterval(() => {}, 1000))\ntest.run()`)
  assert.is(failed, 1)
  assert.match(output, '"the last" still ran after 4 s')
})

test('a test that ends the process fails, and its name is printed', async () => {
  const { failed, output } = await run(`${quick}test('this one', () => process.exit(0))\ntest.run()`)
  assert.is(failed, 1)
  assert.match(output, 'it ended in "this one"')
})

test('a file that hangs before its first test, or runs none, fails', async () => {
  assert.match((await run('for (;;);')).output, '"what comes before the first test" still ran after 4 s')
  const { failed, output } = await run(quick)
  assert.is(failed, 1)
  assert.match(output, 'does the file end with test.run()?')
})

test.run()
