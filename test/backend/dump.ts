import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { assemble, exit, jeq, label, loadMap, mov, note, r0, r1 } from '../../bpf-asm/index.js'
import { dump, dumpJson } from '../../src/backend/dump.js'
import { variants } from '../../src/backend/index.js'
import type { Plan } from '../../src/backend/plan.js'
import { possible } from '../kit/fixture.js'

const small: Plan = {
  wantedPids: [],
  variant: { ...variants[0]!, backend: 'small' },
  maps: [
    { name: 'flows', type: 'hash', keySize: 16, valueSize: 112, maxEntries: 10 },
    { name: 'stats', type: 'array', keySize: 4, valueSize: 40, maxEntries: 1 },
  ],
  programs: [
    {
      name: 'tcptop_one',
      hook: { tracepoint: 'tcp_probe' },
      type: 'tracing',
      attachType: 'trace_raw_tp',
      btfId: 12,
      assembly: assemble([
        note('why it is there', loadMap(r1, 'flows')),
        jeq(r1, 0, 'end'),
        label('end'),
        mov(r0, 0),
        exit(),
      ]),
    },
    { name: 'tcptop_two', hook: { entry: 'release_sock' }, type: 'tracing', attachType: 'trace_fentry', btfId: 34, assembly: assemble([mov(r0, 0), exit()]) },
  ],
  countsMisses: true,
  passedOver: [{ backend: 'large', reason: 'too large' }],
}

test('a dump has the backend, the maps and the annotated programs', () => {
  assert.is(dump(small), `; backend small
; map flows: hash, key 16 bytes, value 112 bytes, 10 entries
; map stats: array, key 4 bytes, value 40 bytes, 1 entries

; program tcptop_one at tracepoint tcp_probe, 5 instructions
    0: (18) r1 = map[flows]                                ; why it is there
    2: (15) if r1 == 0x0 goto pc+0 <end>
end:
    3: (b7) r0 = 0
    4: (95) exit

; program tcptop_two at entry of release_sock, 2 instructions
    0: (b7) r0 = 0
    1: (95) exit
`)
})

test('what the kernel says of the programs stands beside them, and not what it does not say', () => {
  const titles = dump(small, [{ verifiedInsns: 12, jitedSize: 340 }, { verifiedInsns: 0, jitedSize: 0 }]).match(/^; program .*/gm)
  assert.equal(titles, [
    '; program tcptop_one at tracepoint tcp_probe, 5 instructions, 12 verified, 340 bytes of machine code',
    '; program tcptop_two at entry of release_sock, 2 instructions',
  ])
})

test('for other programs it is one object, with the line of source of every instruction', () => {
  const text = dumpJson(small, ({ file }) => ({ file: file.replace(/.*\//, ''), line: 7, column: 1 }), [{ verifiedInsns: 12, jitedSize: 340 }])
  assert.match(text, /^[^\n]+\n$/)
  const { v, backend, maps, programs } = JSON.parse(text)
  assert.equal([v, backend, maps], [1, 'small', small.maps])
  const place = { file: 'dump.js', line: 7 }
  assert.equal(programs[0], {
    name: 'tcptop_one', hook: 'tracepoint tcp_probe', type: 'tracing', slots: 5, verified: 12, jited: 340, insns: [
      { slot: 0, text: '(18) r1 = map[flows]', note: 'why it is there', ...place },
      { slot: 2, text: '(15) if r1 == 0x0 goto pc+0 <end>', ...place },
      { slot: 3, labels: ['end'], text: '(b7) r0 = 0', ...place },
      { slot: 4, text: '(95) exit', ...place },
    ],
  })
  assert.equal(JSON.parse(dumpJson(small, place => place)).programs[0].verified, undefined)
})

for (const { title, backend, plan } of possible) {
  test(`the dump of ${title} has every program with all of its instructions and notes`, () => {
    const [head, ...programs] = dump(plan).split('\n\n; program ')
    assert.match(head!, new RegExp(`^; backend ${backend}\n`))
    assert.is(head!.split('\n').length - 1, plan.maps.length)
    assert.is(programs.length, plan.programs.length)
    plan.programs.forEach(({ name, assembly }, index) => {
      const [title, ...lines] = programs[index]!.trimEnd().split('\n')
      assert.match(title!, new RegExp(`^${name} at .*, ${assembly.slots} instructions$`))
      assert.is(lines.filter(line => /^ *\d+: \(/.test(line)).length, assembly.insns.length)
      const notes = assembly.notes.filter(note => note !== undefined)
      assert.equal(lines.flatMap(line => / ; (.*)$/.exec(line)?.[1] ?? []), notes)
    })
  })
}

test.run()
