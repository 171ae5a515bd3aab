import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import { unless, whyUnprivileged } from '../kit/privilege.js'
import { countsExactly } from './watch.js'

const bundled = fileURLToPath(new URL('../../bin/tcptop.js', import.meta.url))

const title = 'what users start, bundled and compiled beforehand, counts to the byte what others move'
test(title, unless(whyUnprivileged(), title, () => countsExactly([], [], bundled)))

test.run()
