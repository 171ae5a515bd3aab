import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

test('the numbers of the kernel’s interface are those of its headers', () => {
  const { status, stderr } = spawnSync(process.execPath, [fileURLToPath(new URL('../../tools/uapi.js', import.meta.url)), '--check'], { encoding: 'utf8' })
  assert.is(stderr, '')
  assert.is(status, 0)
})

test.run()
