import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { tableOf } from '../../../tools/vm/table.js'

const column = (kernel: string, backend: string, outcomes: Readonly<Record<string, string>>) =>
  ({ kernel, backend, outcomes: new Map(Object.entries(outcomes)) })

test('cases that are exact everywhere are one line, every other has its own, with reasons by number', () => {
  const table = tableOf([
    column('5.10', 'kprobe', { peek: 'exact', mptcp: 'no MPTCP', sockmap: 'return values', waitall: 'exact' }),
    column('6.1', 'fentry', { peek: 'exact', mptcp: 'exact', sockmap: 'exact', waitall: 'exact' }),
    column('6.1', 'kprobe', { peek: 'exact', mptcp: 'exact', sockmap: 'return values', waitall: 'exact' }),
  ])
  assert.is(table, `\
| case | 5.10 kprobe | 6.1 fentry | 6.1 kprobe |
| --- | --- | --- | --- |
| 2 cases | exact | exact | exact |
| \`mptcp\` | (1) | exact | exact |
| \`sockmap\` | (2) | exact | (2) |

1. no MPTCP
2. return values
`)
})

test('a case that was not run is never taken for exact', () => {
  const table = tableOf([column('5.10', 'kprobe', { peek: 'exact' }), column('6.1', 'kprobe', {})])
  assert.match(table, /^\| 0 cases \|/m)
  assert.match(table, /^\| `peek` \| exact \| \(1\) \|$/m)
  assert.match(table, /^1\. not run$/m)
})

test.run()
