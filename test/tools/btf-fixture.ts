import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Btf, type Func, type Member, parseBtf } from '../../bpf-asm/index.js'
import { fixtureOf, type Questions, questionsOf } from '../../tools/btf-fixture.js'
import { btfFixtures } from '../kit/fixture.js'
import { unless } from '../kit/privilege.js'

const tool = fileURLToPath(new URL('../../tools/btf-fixture.js', import.meta.url))
const running = '/sys/kernel/btf/vmlinux'
const without = existsSync(running) ? undefined : 'this kernel has no BTF'
const names = (func: Func | undefined) => func?.params.map(({ name }) => name)

/** Sees that `small` answers all questions as `full` does; ids are its own. */
function answersAs(full: Btf, small: Btf, { members, funcs, typedefs, enumerators }: Questions): number {
  let asked = 0
  for (const [struct, paths] of members) {
    for (const path of paths) {
      assert.equal(small.findMember(struct, path), full.findMember(struct, path), `${struct}.${path}`)
      asked++
    }
    if (full.findStruct(struct) !== undefined) assert.is(small.sizeOf(struct), full.sizeOf(struct), struct)
  }
  for (const name of funcs) assert.equal(names(small.func(name)), names(full.func(name)), name)
  for (const name of typedefs) assert.is(small.typedef(name) === undefined, full.typedef(name) === undefined, name)
  for (const [name, values] of enumerators) {
    for (const value of values) {
      assert.is(small.enumValue(name, value), full.enumValue(name, value), value)
      asked++
    }
  }
  return asked + funcs.size + typedefs.size
}

const fromRunning = 'a fixture of the running kernel answers every question of the program as its BTF does'
test(fromRunning, unless(without, fromRunning, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-'))
  try {
    const file = join(folder, 'small.btf')
    assert.is(spawnSync(process.execPath, [tool, running, file]).status, 0)
    const full = parseBtf(readFileSync(running))
    const bytes = readFileSync(file)
    const asked = answersAs(full, parseBtf(bytes), questionsOf(full))
    assert.ok(asked > 30, `${asked} questions`)
    assert.ok(bytes.length < 8192, `${bytes.length} bytes`)
  } finally {
    rmSync(folder, { recursive: true })
  }
}))

test('there are fixtures', () => {
  assert.ok(btfFixtures.length > 0)
})

for (const { name, bytes, btf } of btfFixtures) {
  test(`the fixture ${name} has what the program asks for, and nothing else: made from itself it is the same`, () => {
    assert.equal(fixtureOf(btf), bytes)
    assert.ok(bytes.length < 8192, `${bytes.length} bytes`)
  })
}

const places: Readonly<Record<string, Readonly<Record<string, Member>>>> = {
  outer: {
    'byte': { offset: 0, size: 1 },
    'inner': { offset: 8, size: 24 },
    'inner.word': { offset: 8, size: 4 },
    'inner.deep': { offset: 16, size: 16 },
    'inner.deep.bits': { offset: 16, size: 1, bitOffset: 3, bitSize: 4 },
    'inner.deep.byte': { offset: 17, size: 1, bitOffset: 0, bitSize: 8 },
    'inner.deep.wide': { offset: 20, size: 4, bitOffset: 5, bitSize: 20 },
    'inner.deep.long': { offset: 24, size: 8, bitOffset: 1, bitSize: 63 },
    'name': { offset: 33, size: 15 },
    'far': { offset: 200_000, size: 8 },
  },
  other: { 'inner.word': { offset: 2, size: 2 }, 'inner': { offset: 2, size: 3 } },
}
const members = new Map([
  ['outer', new Set([
    'byte', 'inner.word', 'inner.deep.bits', 'inner.deep.byte', 'inner.deep.wide', 'inner.deep.long', 'name', 'far',
    'none',
  ])],
  ['other', new Set(['inner.word'])],
  ['missing', new Set(['member'])],
])
const functions: Readonly<Record<string, Func>> = {
  send: {
    id: 9, params: [{ name: 'sk', typeId: 4 }, { name: 'size', typeId: 5 }, { name: '', typeId: 0 }], returns: 6,
  },
  stop: { id: 10, params: [], returns: 0 },
}
const none = () => { throw new Error('not asked for') }
const model: Btf = {
  types: 10,
  member: (struct, path) => places[struct]?.[path] ?? none(),
  findMember: (struct, path) => places[struct]?.[path],
  findStruct: name => name in places ? 1 : undefined,
  sizeOf: name => ({ outer: 200_016, other: 8, size_t: 8, int: 4 })[name] ?? none(),
  func: name => functions[name],
  typedef: name => name === 'btf_trace_send' ? 3 : undefined,
  nameOf: id => ['', '', '', '', '', 'size_t', 'int'][id] ?? none(),
  enumValue: (name, value) => name === 'helper' ? ({ one: 1n, large: 0xffff_ffffn })[value] : undefined,
  struct: none, variable: none, sizeOfType: none, tracepoint: none,
}

test('nested members, bit fields, arrays, functions, enumerators and what is missing are answered as they were', () => {
  const typedefs = new Set(['btf_trace_send', 'btf_trace_gone'])
  const enumerators = new Map([['helper', new Set(['one', 'large', 'gone'])], ['gone', new Set(['one'])]])
  const questions = { members, funcs: new Set(['send', 'stop', 'gone']), typedefs, enumerators }
  const small = parseBtf(fixtureOf(model, questions))
  assert.is(answersAs(model, small, questions), 20)
  const { params, returns } = small.func('send')!
  assert.equal(params.map(({ typeId }) => typeId === 0 ? 'void' : small.nameOf(typeId)), ['', 'size_t', 'void'])
  assert.equal([small.nameOf(returns), small.func('stop')!.returns], ['int', 0])
  assert.is(small.sizeOf('size_t'), 8)
})

test('all fields are asked for also where some are missing, or no backend has what it needs', () => {
  const { btf } = btfFixtures[0]!
  const { members } = questionsOf(btf)
  const bare: Btf = { ...btf, func: () => undefined, typedef: () => undefined }
  assert.equal(questionsOf(bare).members, members)
  assert.ok(questionsOf(bare).typedefs.size > 0)
  const findMember: Btf['findMember'] = (struct, path) => path === 'bytes_acked' ? undefined : btf.findMember(struct, path)
  const poor: Btf = { ...btf, findMember }
  assert.equal(questionsOf(poor).members, members)
  const small = parseBtf(fixtureOf(poor))
  assert.is(small.findMember('tcp_sock', 'bytes_acked'), undefined)
  assert.equal(small.findMember('tcp_sock', 'write_seq'), btf.findMember('tcp_sock', 'write_seq'))
})

test('without two arguments the tool says how it is used', () => {
  const { status, stderr } = spawnSync(process.execPath, [tool, running], { encoding: 'utf8' })
  assert.is.not(status, 0)
  assert.match(stderr, 'usage: node dist/tools/btf-fixture.js VMLINUX_BTF OUT')
})

test.run()
