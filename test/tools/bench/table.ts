import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Ran } from '../../../tools/bench/meant.js'
import { ranLines, tableOf } from '../../../tools/bench/table.js'

test('a table of what the tool costs has a line for each figure, with how it was made', () => {
  const table = tableOf({
    machine: '', kernel: '', node: '', commit: '', modified: false, date: '',
    guests: { 6.1: {
      kernel: '6.1.1',
      overhead: [
        { connections: 10, tool: 'none', what: 'an event itself', added: 8235, spread: 2 },
        { connections: 10, tool: 'fentry', what: 'everything', added: 310, spread: 1 },
        { connections: 1, tool: 'fentry', what: 'everything', added: 305, spread: 0 },
        { connections: 10, tool: 'bcc', what: 'tcptop', added: null, reason: 'not installed' },
      ],
      start: [{ what: 'tcptop --backend fentry', cpu: 812.3, wall: 900 }],
    } },
    drain: [{ flows: 100_000, cpu: 59.7, walk: 35.1, wasm: 24.4, print: 0.3, peak: 80.4, memory: 48 }],
    start: [{ what: 'an empty Node.js', cpu: 50, wall: 48 }, { what: 'tcptop', cpu: 120.4, wall: 130 }],
    idle: [{ flows: 100, share: 0.0029, peak: 64.6 }],
  })
  assert.is(table.split('\n').length, 2 + 4 + 4 + 1)
  assert.match(table, /^\| Linux 6\.1: an event itself \| 8235 ± 2 \(10\) \| instructions /m)
  assert.match(table, /^\| Linux 6\.1: fentry, everything \| 310 ± 1 \(10\) · 305 ± 0 \(1\) \| /m)
  assert.match(table, /^\| Linux 6\.1: bcc, tcptop \| not installed \(10\) \| /m)
  assert.match(table, /^\| Linux 6\.1: start of tcptop --backend fentry \| 812 million instructions \| /m)
  assert.match(table, /^\| drain of 100,000 flows \| 60 ms: 35 ms in the kernel, 24 ms in WASM; 80 MB at most \| /m)
  assert.match(table, /^\| start of an empty Node\.js \| 50 ms of CPU, 48 ms \| /m)
  assert.match(table, /^\| start of tcptop \| 120 ms of CPU \(2\.41 × an empty Node\.js\), 130 ms \| /m)
  assert.match(table, /^\| at 1 s with 100 flows \| 0\.29 % of a core, 65 MB at most \| /m)
})

test('programs that ran are listed once however much was measured with them, those that ran most first', () => {
  const program = (name: string, runs: number) => ({ name, loaded: 200, rewritten: 250, runs })
  const ran: Ran = { backend: 'fentry', variant: 'Linux 5.12', programs: [program('tx', 0.5), program('life', 0), program('rx', 0.75)] }
  const figure = { tool: 'fentry', what: 'everything', added: 300, ran }
  const none = { connections: 1, tool: 'bcc', what: 'tcptop', added: null }
  const guests = { 6.1: { kernel: '6.1.1', start: [], overhead: [{ ...figure, connections: 10 }, { ...figure, connections: 1 }, { ...figure, connections: 10, what: '--pid' }, none] } }
  assert.is(ranLines({ guests }), 'Linux 6.1: everything, --pid: fentry, the variant that needs Linux 5.12: rx 200 (250) 0.75 ×, tx 200 (250) 0.5 ×, life 200 (250) 0 ×\n')
  assert.is(ranLines({ guests: {}, ran: { ...ran, programs: [{ name: 'tx', loaded: 2, rewritten: 3 }] } }), 'here: fentry, the variant that needs Linux 5.12: tx 2 (3)\n')
})

test.run()
