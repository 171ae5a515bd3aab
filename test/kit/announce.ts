import { writeFileSync } from 'node:fs'
import { test } from 'uvu'

// The runner of tests preloads this: each test writes its name into a file when it starts, so that one that hangs or crashes can be named.
const path = process.env.TCPTOP_TEST_NAME
if (path !== undefined) test.before.each(({ __test__: name }) => writeFileSync(path, name))
