import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { unless, whyUnprivileged } from '../kit/privilege.js'
import { countsExactly } from './watch.js'

const bundled = fileURLToPath(new URL('../../bin/tcptop.js', import.meta.url))

const title = 'what users start, bundled and compiled beforehand, counts to the byte what others move'
test(title, unless(whyUnprivileged(), title, () => countsExactly([], [], bundled)))

const optimizing = 'V8 optimizes nothing during the start, and again as soon as all is attached'
test(optimizing, unless(whyUnprivileged(), optimizing, () => {
  // Prints flags as they are set.
  const preload = `const v8 = require('node:v8'); const set = v8.setFlagsFromString; v8.setFlagsFromString = flag => { process._rawDebug(flag); set(flag) }`
  const { status, stderr } = spawnSync(process.execPath, ['--import', `data:text/javascript,import { createRequire } from 'node:module'; const require = createRequire('file:///'); ${preload}`, bundled, '-f', 'csv', '0.1', '1'], { encoding: 'utf8' })
  assert.equal([status, stderr], [0, '--no-opt\n--opt\n'])
}))

test.run()
