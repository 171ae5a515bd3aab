import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  assemble, call, callKfunc, decode, encode, exit, jeq, label, list, listing, loadImm64, loadMap, loadMapValue, mov, note,
  r0, r1,
} from '../../bpf-asm/index.js'
import { bytesOf } from '../kit/form.js'

// Every form’s line is tested with its bytes: insn.ts.

test('lines are numbered by slot', () => {
  const lines = list(assemble([loadImm64(r1, 1n), mov(r0, 0), loadMap(r1, 'numbers'), exit()]))
  assert.equal(lines, ['0: (18) r1 = 0x1', '2: (b7) r0 = 0', '3: (18) r1 = 0x0', '5: (95) exit'])
})

test('a map is shown by its descriptor once it has one', () => {
  const bytes = encode(assemble([loadMap(r1, 'numbers'), exit()]), { numbers: 7 })
  assert.is(list(decode(bytes))[0], '0: (18) r1 = 0x7')
})

test('a kernel function has its name until it is decoded', () => {
  const assembly = assemble([callKfunc({ name: 'bpf_rcu_read_lock', id: 4660 }), exit()])
  assert.equal(list(assembly), ['0: (85) call bpf_rcu_read_lock#4660', '1: (95) exit'])
  assert.is(list(decode(encode(assembly)))[0], '0: (85) call kernel-function#4660')
})

test('a helper newer than the list is unknown', () => {
  assert.is(list(decode(bytesOf('85 00 0000 0f270000')))[0], '0: (85) call unknown#9999')
})

test('for people there are labels, maps by name, targets and notes, each where it belongs', () => {
  const code = [
    note('the flow’s key', loadMap(r1, 'numbers')),
    loadMapValue(r1, 'words', 16),
    jeq(r0, 0, 'none'),
    note('now', call('ktime_get_ns')),
    label('none'), label('end'),
    exit(),
  ]
  assert.is(listing(assemble(code)), [
    '    0: (18) r1 = map[numbers]                              ; the flow’s key',
    '    2: (18) r1 = map[words][0]+16',
    '    4: (15) if r0 == 0x0 goto pc+1 <none>',
    '    5: (85) call bpf_ktime_get_ns#5                        ; now',
    'none, end:',
    '    6: (95) exit',
    '',
  ].join('\n'))
})

test.run()
