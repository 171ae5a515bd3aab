import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Btf, BtfError, parseBtf } from '../../bpf-asm/index.js'
import { unless } from '../kit/privilege.js'
import { Random } from '../kit/random.js'
import { array, blob, int, Kind, pack, prototype, refer, split, struct, type, union } from '../kit/blob.js'

/** A structure with everything in it. */
const sample = blob(
  int('int', 4),
  int('char', 1),
  refer(Kind.typedef, 5, 'u32'),
  array(2, 16),
  refer(Kind.const, 1),
  struct('pair', 8, ['low', 1, 0], ['high', 3, 32]),
  struct('', 8, ['inner_a', 1, 0], ['inner_b', 1, 32]),
  union('', 8, ['whole', 6, 0], ['', 7, 0]),
  refer(Kind.ptr, 10),
  struct('outer', 48, ['first', 1, 0], ['', 8, 32], ['name', 4, 96], ['next', 9, 256], ['pairs', 11, 320]),
  array(6, 2),
  refer(Kind.volatile, 10),
  refer(Kind.typeTag, 12, 'user'),
  refer(Kind.typedef, 13, 'outer_t'),
  struct('wrapper', 56, ['head', 1, 0], ['outer', 14, 64]),
  // 16: bit fields before the flag, in integers of their own
  int('int', 4, 3),
  int('int', 4, 29, 3),
  struct('old_bits', 4, ['three', 16, 0], ['rest', 17, 0], ['last', 16, 29]),
  // 19: and with it
  struct(
    'bits', 16, ['a', 1, 0, 1], ['b', 1, 1, 7], ['across', 1, 14, 4], ['wide', 1, 32, 0], ['all', 1, 64, 32], ['far', 1, 98, 27],
  ),
  type('colour', Kind.enum, 4, ['red', 0, 'green', 7, 'huge', 0xffffffff], 3),
  type('temperature', Kind.enum, 4, ['cold', 0xfffffff6, 'warm', 20], 2, true),
  type('', Kind.enum, 4, ['NAMELESS', 5], 1),
  type('large', Kind.enum64, 8, ['top', 0xffffffff, 0xffffffff, 'middle', 1, 2], 2),
  type('small', Kind.enum64, 8, ['bottom', 0, 0x80000000], 1, true),
  type('', Kind.enum64, 8, ['NAMELESS_64', 0, 1], 1),
  // 26
  type('', Kind.funcProto, 1, ['sk', 9, 'size', 3, '', 0], 3),
  type('send', Kind.func, 26),
  type('', Kind.funcProto, 0, []),
  type('nothing', Kind.func, 28),
  type('counter', Kind.var, 1, [1]),
  type('.data', Kind.datasec, 4, [30, 0, 4], 1),
  type('double', Kind.float, 8),
  type('fast', Kind.declTag, 27, [0xffffffff]),
  type('elsewhere', Kind.fwd, 0),
  type('later', Kind.union, 8, ['x', 32, 0], 1),
  refer(Kind.restrict, 9),
  refer(Kind.typedef, 0, 'nothing_t'),
)

const members: readonly (readonly [struct: string, path: string, member: object])[] = [
  ['outer', 'first', { offset: 0, size: 4 }],
  ['outer', 'whole', { offset: 4, size: 8 }],
  ['outer', 'whole.high', { offset: 8, size: 4 }],
  ['outer', 'inner_a', { offset: 4, size: 4 }],
  ['outer', 'inner_b', { offset: 8, size: 4 }],
  ['outer', 'name', { offset: 12, size: 16 }],
  ['outer', 'next', { offset: 32, size: 8 }],
  ['outer', 'pairs', { offset: 40, size: 16 }],
  ['wrapper', 'outer', { offset: 8, size: 48 }],
  ['wrapper', 'outer.whole.high', { offset: 16, size: 4 }],
  ['wrapper', 'outer.inner_b', { offset: 16, size: 4 }],
  ['later', 'x', { offset: 0, size: 8 }],
  ['old_bits', 'three', { offset: 0, size: 1, bitOffset: 0, bitSize: 3 }],
  ['old_bits', 'rest', { offset: 0, size: 4, bitOffset: 3, bitSize: 29 }],
  ['old_bits', 'last', { offset: 3, size: 1, bitOffset: 5, bitSize: 3 }],
  ['bits', 'a', { offset: 0, size: 1, bitOffset: 0, bitSize: 1 }],
  ['bits', 'b', { offset: 0, size: 1, bitOffset: 1, bitSize: 7 }],
  ['bits', 'across', { offset: 0, size: 4, bitOffset: 14, bitSize: 4 }],
  ['bits', 'wide', { offset: 4, size: 4 }],
  ['bits', 'all', { offset: 8, size: 4 }],
  ['bits', 'far', { offset: 12, size: 4, bitOffset: 2, bitSize: 27 }],
]

for (const [name, path, member] of members) {
  test(`${name}.${path} is found where it is`, () => {
    assert.equal(parseBtf(sample).member(name, path), member)
    assert.equal(parseBtf(sample).findMember(name, path), member)
  })
}

for (const [name, path] of [
  ['outer', 'second'], ['outer', ''], ['outer', 'first.x'], ['outer', 'next.first'], ['outer', 'pairs.low'],
  ['outer', 'whole.'], ['outer', '.whole'], ['outer', 'whole..high'], ['outer', 'firs'], ['outer', 'first\0'],
  ['int', 'first'], ['outer_t', 'first'], ['none', 'first'], ['', 'inner_a'], ['elsewhere', 'first'],
] as const) {
  test(`there is no ${JSON.stringify(path)} in ${JSON.stringify(name)}`, () => {
    const btf = parseBtf(sample)
    assert.is(btf.findMember(name, path), undefined)
    assert.throws(() => btf.member(name, path), isBtfError(`this kernel has no ${path} in struct ${name}`))
  })
}

function isBtfError(message: string): (error: unknown) => boolean {
  return error => error instanceof BtfError && error.message === message
}

test('structures and unions have the id that they are at', () => {
  const btf = parseBtf(sample)
  assert.is(btf.types, 37)
  assert.equal([btf.struct('pair'), btf.struct('outer'), btf.findStruct('later')], [6, 10, 35])
  for (const name of ['none', 'int', 'outer_t', 'elsewhere', '', 'pai', 'pairs']) {
    assert.is(btf.findStruct(name), undefined, name)
    assert.throws(() => btf.struct(name), isBtfError(`this kernel has no struct ${name}`))
  }
})

test('sizes are those of types, through typedefs and qualifiers', () => {
  const btf = parseBtf(sample)
  const sizes = { int: 4, u32: 4, outer: 48, outer_t: 48, later: 8, double: 8, colour: 4, large: 8 }
  for (const [name, size] of Object.entries(sizes)) assert.is(btf.sizeOf(name), size, name)
  assert.throws(() => btf.sizeOf('none'), isBtfError('this kernel has no type none'))
  assert.throws(() => btf.sizeOf('nothing_t'), isBtfError('there is no type 0'))
})

test('enumerators have their values, signed where the enum is, also of enums without a name', () => {
  const btf = parseBtf(sample)
  const values: readonly (readonly [string, string, bigint | undefined])[] = [
    ['colour', 'red', 0n], ['colour', 'green', 7n], ['colour', 'huge', 0xffffffffn], ['colour', 'cold', undefined],
    ['temperature', 'cold', -10n], ['temperature', 'warm', 20n], ['', 'NAMELESS', 5n], ['', 'NAMELESS_64', 1n << 32n],
    ['', 'red', undefined], ['large', 'top', 2n ** 64n - 1n], ['large', 'middle', 2n << 32n | 1n],
    ['small', 'bottom', -(2n ** 63n)], ['none', 'red', undefined], ['int', 'red', undefined], ['colour', '', undefined],
  ]
  for (const [name, enumerator, value] of values) {
    assert.is(btf.enumValue(name, enumerator), value, `${name} ${enumerator}`)
  }
})

test('a function has its id, its parameters and its result', () => {
  const btf = parseBtf(sample)
  assert.equal(btf.func('send'), {
    id: 27, params: [{ name: 'sk', typeId: 9 }, { name: 'size', typeId: 3 }, { name: '', typeId: 0 }], returns: 1,
  })
  assert.equal(btf.func('nothing'), { id: 29, params: [], returns: 0 })
  for (const name of ['none', 'outer', '', 'sen', 'fast']) assert.is(btf.func(name), undefined, name)
})

test('typedefs and variables have ids', () => {
  const btf = parseBtf(sample)
  assert.equal(['u32', 'outer_t', 'outer', ''].map(btf.typedef), [3, 14, undefined, undefined])
  assert.equal(['counter', 'send', ''].map(btf.variable), [30, undefined, undefined])
})

test('a type has its name, void and some others none, and what there is not is an error', () => {
  const btf = parseBtf(sample)
  assert.equal([1, 10, 27, 31, 4, 0].map(id => btf.nameOf(id)), ['int', 'outer', 'send', '.data', '', ''])
  for (const id of [-1, 38, 2 ** 32, 1.5, Number.NaN]) {
    assert.throws(() => btf.nameOf(id), isBtfError(`there is no type ${id}`))
  }
})

test('names of any script are found', () => {
  const btf = parseBtf(blob(struct('größe', 4, ['länge', 2, 0]), int('целое', 4)))
  assert.equal(btf.member('größe', 'länge'), { offset: 0, size: 4 })
  assert.is(btf.nameOf(2), 'целое')
})

test('a blob is read where it is, also in the middle of a buffer and unaligned', () => {
  for (const at of [0, 1, 2, 3, 4]) {
    const within = new Uint8Array(sample.length + 9).fill(0xff)
    within.set(sample, at)
    assert.is(parseBtf(within.subarray(at, at + sample.length)).member('wrapper', 'outer.inner_b').offset, 16)
  }
})

const changed = (...change: readonly (readonly [offset: number, ...bytes: number[]])[]) => {
  const bytes = sample.slice()
  for (const [offset, ...values] of change) bytes.set(values, offset)
  return bytes
}

const broken: readonly (readonly [what: string, bytes: Uint8Array, message: RegExp])[] = [
  ['nothing', new Uint8Array(0), /^0 bytes are no BTF$/],
  ['half a header', sample.subarray(0, 23), /^23 bytes are no BTF$/],
  ['something else', changed([0, 0x7f, 0x45]), /^no BTF: it starts with 0x457f$/],
  ['the other byte order', changed([0, 0xeb, 0x9f]), /^this BTF is of a machine of the other byte order$/],
  ['another version', changed([2, 2]), /^BTF version 2 is unknown$/],
  ['a blob without its end', sample.subarray(0, sample.length - 1), /^it is cut off$/],
  ['types that begin beyond the end', changed([8, 0xff, 0xff, 0xff, 0x7f]), /^it is cut off$/],
  ['a header that is longer than all', changed([4, 0xff, 0xff, 0xff, 0xff]), /^it is cut off$/],
  ['no names', changed([20, 0, 0, 0, 0]), /^its names are damaged$/],
  ['names without an end', changed([sample.length - 1, 0x41]), /^its names are damaged$/],
  ['a fraction of a word', changed([12, sample[12]! - 1]), /^its types are damaged$/],
  ['a type that is cut off', blob(int('int', 4), [0, Kind.array * 2 ** 24, 0, 1]), /^type 2 is cut off$/],
  ['more members than there are words', blob(type('s', Kind.struct, 4, ['a', 1, 0], 2)), /^type 1 is cut off$/],
]

for (const [what, bytes, message] of broken) {
  test(`${what}: no BTF`, () => assert.throws(() => parseBtf(bytes), (error: unknown) => {
    assert.instance(error, BtfError)
    assert.match((error as BtfError).message, message)
    return true
  }))
}

for (const [what, bytes, incomplete] of [
  ['a kind that is newer', blob(int('int', 4), [0, 20 * 2 ** 24, 0], int('long', 8)), 'type 2 is of kind 20, which is unknown'],
  ['one of 7 bits', blob(int('int', 4), [0, 100 * 2 ** 24, 0], int('long', 8)), 'type 2 is of kind 100, which is unknown'],
  ['no kind', blob(int('int', 4), [0, 0, 0]), 'type 2 is of kind 0, which is unknown'],
  ['a type without its info', blob(int('int', 4), [0]), 'type 2 is of kind 0, which is unknown'],
] as const) {
  test(`${what} ends what can be read, and what is missing says so`, () => {
    const btf = parseBtf(bytes)
    assert.equal([btf.types, btf.incomplete, btf.sizeOf('int')], [1, incomplete, 4])
    assert.throws(() => btf.sizeOf('long'), isBtfError(`type long is not before the end: ${incomplete}`))
    assert.is(btf.func('none'), undefined)
  })
}

/** Types with newer ones among them, and the section that tells their lengths, as Linux 7.1 has it. */
function withLayout(layout: readonly (readonly [fixed: number, each: number])[], types: readonly (readonly (number | string)[])[]): Uint8Array {
  const { words, strings } = sections(blob(...types))
  const parts = Uint8Array.from(layout.flatMap(([fixed, each]) => [fixed, each, 0, 0]))
  const header = Uint32Array.of(0x1eb9f, 32, 0, words.byteLength, words.byteLength + parts.length, strings.length, words.byteLength, parts.length)
  return Uint8Array.from(Buffer.concat([new Uint8Array(header.buffer), new Uint8Array(words.buffer), parts, strings]))
}

test('types of unknown kinds are skipped if the blob says how long they are', () => {
  const layout = Array.from({ length: 22 }, () => [0, 0] as [number, number])
  layout[20] = [8, 0]
  layout[21] = [4, 12]
  const types = [
    int('int', 4), type('newer', 20, 0, [1, 2]), struct('pair', 8, ['low', 1, 0], ['high', 1, 32]),
    type('', 21, 0, [7, ...Array<number>(9).fill(1)], 3), refer(Kind.typedef, 3, 'pair_t'), type('', 20, 0, [0, 0]),
  ]
  const btf = parseBtf(withLayout(layout, types))
  assert.equal([btf.types, btf.incomplete, btf.typedef('pair_t'), btf.sizeOf('pair_t'), btf.nameOf(2)], [6, undefined, 5, 8, 'newer'])
  assert.equal(btf.member('pair', 'high'), { offset: 4, size: 4 })
  assert.throws(() => btf.sizeOf('newer'), isBtfError('this kernel has no type newer'))
  // What is known is not what a blob says of it.
  assert.is(parseBtf(withLayout([[0, 0], [255, 255]], [int('int', 4), int('long', 8)])).sizeOf('long'), 8)
  for (const damaged of [layout.slice(0, 21), [...layout.slice(0, 21), [3, 12]], [...layout.slice(0, 21), [4, 2]]] as [number, number][][]) {
    assert.match(parseBtf(withLayout(damaged, types)).incomplete!, /^type 4 is of kind 21/)
  }
  assert.throws(() => parseBtf(withLayout(layout, types.slice(0, 1)).subarray(0, 40)), isBtfError('it is cut off'))
})

test('a structure may have more members than 16 bits count', () => {
  const names = Array.from({ length: 70_000 }, (_, index) => ['m', 1, 32 * index] as const)
  const btf = parseBtf(blob(int('int', 4), struct('vast', 280_000, ...names.slice(0, -1), ['last', 1, 32 * 69_999]), int('long', 8)))
  assert.equal([btf.member('vast', 'last').offset, btf.sizeOf('long')], [4 * 69_999, 8])
})

test('no types are BTF too', () => assert.is(parseBtf(blob()).types, 0))

const deep = Array.from({ length: 50_000 }, (_, index) => struct(index === 0 ? 'deep' : '', 4, ['', index + 2, 0]))
const wide = Array.from({ length: 40 }, (_, index) =>
  struct(index === 0 ? 'wide' : '', 4, ['', index + 2, 0], ['', index + 2, 0]))
const vast = Array.from({ length: 40 }, (_, index) => array(index + 1, 2 ** 31))

/** What goes in circles, too deep or too far, of which each is asked for what would come to it. */
const endless: readonly (readonly [what: string, bytes: Uint8Array, ask: (btf: Btf) => unknown, answer?: unknown])[] = [
  ['a typedef of itself', blob(refer(Kind.typedef, 1, 'own')), btf => btf.sizeOf('own')],
  ['two typedefs of each other', blob(refer(Kind.typedef, 2, 'a'), refer(Kind.const, 1)), btf => btf.sizeOf('a')],
  ['a member of a circular type', blob(refer(Kind.const, 1), struct('s', 4, ['x', 1, 0])), btf => btf.member('s', 'x')],
  ['an array of itself', blob(array(1, 2), refer(Kind.typedef, 1, 'own')), btf => btf.sizeOf('own')],
  [
    'an array of more bytes than can be counted',
    blob(int('int', 4), ...vast, refer(Kind.typedef, 41, 'vast')), btf => btf.sizeOf('vast'),
  ],
  ['a structure that is nameless in itself', blob(struct('s', 4, ['', 1, 0])), btf => btf.findMember('s', 'x'), 'none'],
  ['nameless structures, 50,000 deep', blob(...deep, int('int', 4)), btf => btf.findMember('deep', 'x')],
  ['nameless structures, 40 deep, each twice', blob(...wide, int('int', 4)), btf => btf.findMember('wide', 'x'), 'none'],
  ['a function whose prototype is none', blob(int('int', 4), type('f', Kind.func, 1)), btf => btf.func('f')],
  ['a function without a prototype', blob(type('f', Kind.func, 9)), btf => btf.func('f')],
  ['a member of a type that there is not', blob(struct('s', 4, ['x', 9, 0])), btf => btf.member('s', 'x')],
  ['a member of no type', blob(struct('s', 4, ['x', 0, 0])), btf => btf.member('s', 'x')],
  ['a function as a member', blob(struct('s', 4, ['x', 2, 0]), type('f', Kind.funcProto, 0)), btf => btf.member('s', 'x')],
  ['a bit field beyond words', blob(struct('s', 16, ['x', 2, 60, 33]), int('int', 4)), btf => btf.member('s', 'x')],
  ['a name beyond all names', blob([999, Kind.float * 2 ** 24, 4]), btf => btf.nameOf(1)],
  [
    'a parameter’s name beyond all names',
    blob(type('', Kind.funcProto, 0, [999, 0], 1), type('f', Kind.func, 1)), btf => btf.func('f'),
  ],
]

for (const [what, bytes, ask, answer] of endless) {
  test(`${what} ends, ${answer === undefined ? 'as an error' : 'without a find'}`, () => {
    const btf = parseBtf(bytes)
    if (answer === undefined) assert.throws(() => ask(btf), (error: unknown) => error instanceof BtfError)
    else assert.is(ask(btf), undefined)
  })
}

/** What may be asked about a blob. */
interface Questions {
  readonly names: readonly string[]
  readonly paths: readonly string[]
}

/** Asks everything; every answer is good, and BtfError is the only error. Says whether the blob was read. */
function survives(bytes: Uint8Array, { names, paths }: Questions): boolean {
  const ask = <Answer>(question: () => Answer): Answer | undefined => {
    try {
      return question()
    } catch (error) {
      if (error instanceof BtfError) return undefined
      throw error
    }
  }
  const btf = ask(() => parseBtf(bytes))
  if (btf === undefined) return false
  const ofName = [btf.struct, btf.findStruct, btf.sizeOf, btf.func, btf.typedef, btf.variable]
  for (const name of names) {
    for (const question of ofName) ask(() => question(name))
    for (const path of paths) {
      const member = ask(() => btf.findMember(name, path))
      assert.ok(member === undefined || (Number.isSafeInteger(member.offset) && Number.isSafeInteger(member.size)))
      ask(() => btf.member(name, path))
      ask(() => btf.enumValue(name, path))
    }
  }
  for (const path of paths) ask(() => btf.enumValue('', path))
  for (let id = 0; id <= btf.types && id < 100; id++) ask(() => btf.nameOf(id))
  return true
}

/** Changes bytes here and there, in some a whole word, to something small or large, and cuts some blobs off. */
function damage(random: Random, bytes: Uint8Array, times: number): Uint8Array {
  const copy = bytes.slice()
  const view = new DataView(copy.buffer)
  // The header most rarely: hardly any blob survives that.
  const start = random.chance(0.05) ? 0 : 24
  for (let count = times; count > 0; count--) {
    const at = start + random.below(copy.length - start - 4)
    if (random.chance(0.5)) copy[at] = random.below(256)
    else view.setUint32(at & ~3, random.pick([0, 1, random.below(64), random.below(2 ** 32), 0xffffffff]), true)
  }
  return random.chance(0.05) ? copy.subarray(0, random.below(copy.length)) : copy
}

test('damage is a BtfError or something else that can be asked, at any place', () => {
  const all: Questions = {
    names: [
      'outer', 'wrapper', 'bits', 'old_bits', 'outer_t', 'later', 'send', 'colour', 'temperature', 'large', 'small', '',
    ],
    paths: [...new Set(members.map(([, path]) => path)), 'red', 'top', 'bottom', 'NAMELESS', 'none'],
  }
  const random = new Random()
  const some = (items: readonly string[]) => Array.from({ length: 4 }, () => random.pick(items))
  const turns = 5000
  let read = 0
  random.repeat(turns, () => {
    const questions = { names: some(all.names), paths: some(all.paths) }
    if (survives(damage(random, sample, 1 + random.below(6)), questions)) read++
  })
  assert.ok(read > turns / 10 && read < turns * 0.99, `${read} of ${turns} read`)
})

const vmlinux = '/sys/kernel/btf/vmlinux'
const absent = existsSync(vmlinux) ? undefined : `no ${vmlinux}`

function onVmlinux(title: string, run: (bytes: Uint8Array) => void, reason = absent): void {
  test(title, unless(reason, title, () => run(readFileSync(vmlinux))))
}

/** The two sections of a blob. */
function sections(bytes: Uint8Array): { readonly words: Uint32Array; readonly strings: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const section = (at: number) => {
    const start = view.getUint32(4, true) + view.getUint32(at, true)
    return bytes.slice(start, start + view.getUint32(at + 4, true))
  }
  return { words: new Uint32Array(Uint8Array.from(section(8)).buffer), strings: section(16) }
}

/** The first types of a blob, of at most that many words, with the names that they use. */
function beginning(bytes: Uint8Array, length: number): Uint8Array {
  const { words, strings } = sections(bytes)
  for (let end = length; ; end--) {
    const piece = pack(words.slice(0, end), strings.slice(0, strings.indexOf(0, 1 << 16) + 1))
    if (survives(piece, { names: [], paths: [] })) return piece
  }
}

onVmlinux('a damaged piece of the kernel’s own BTF is no worse', bytes => {
  const piece = beginning(bytes, 20_000)
  const random = new Random()
  const { types, nameOf } = parseBtf(piece)
  const paths = ['next', 'next.prev', 'flags', 'lock', 'counter', 'name', 'lock.rlock.raw_lock', 'none']
  const turns = 1000
  let read = 0
  random.repeat(turns, () => {
    const names = Array.from({ length: 4 }, () => nameOf(1 + random.below(types)))
    if (survives(damage(random, piece, 1 + random.below(10)), { names: ['list_head', ...names], paths })) read++
  })
  assert.ok(read > turns / 20 && read < turns, `${read} of ${turns} read`)
})

onVmlinux('nor is the whole of it', bytes => {
  const random = new Random()
  const names = ['tcp_sock', 'sock_common', 'none']
  const paths = ['inet_conn.icsk_inet.sk.sk_protocol', 'skc_dport', 'flags', 'none']
  random.repeat(10, () => survives(damage(random, bytes, 1 + random.below(3)), { names, paths }))
})

onVmlinux('what has been at its place for ever is found there', bytes => {
  const btf = parseBtf(bytes)
  for (const [name, path, offset, size] of [
    ['sock_common', 'skc_daddr', 0, 4], ['sock_common', 'skc_rcv_saddr', 4, 4], ['sock_common', 'skc_dport', 12, 2],
    ['sock_common', 'skc_num', 14, 2], ['sock_common', 'skc_family', 16, 2], ['sock', '__sk_common.skc_daddr', 0, 4],
    ['tcp_sock', 'inet_conn.icsk_inet.sk.__sk_common.skc_family', 16, 2], ['socket', 'sk', 24, 8],
    ['list_head', 'prev', 8, 8], ['in6_addr', 'in6_u.u6_addr32', 0, 16], ['iphdr', 'protocol', 9, 1], ['iphdr', 'saddr', 12, 4],
  ] as const) assert.equal(btf.member(name, path), { offset, size }, `${name}.${path}`)
  assert.equal(btf.member('iphdr', 'ihl'), { offset: 0, size: 1, bitOffset: 0, bitSize: 4 })
  assert.equal(btf.member('tcphdr', 'syn'), { offset: 13, size: 1, bitOffset: 1, bitSize: 1 })
  assert.equal([btf.sizeOf('int'), btf.sizeOf('u64'), btf.sizeOf('in6_addr'), btf.sizeOf('list_head')], [4, 8, 16, 16])
  assert.is(btf.enumValue('', 'TCP_ESTABLISHED'), 1n)
  assert.equal(btf.func('tcp_sendmsg')?.params.map(({ name }) => name), ['sk', 'msg', 'size'])
  assert.is(btf.nameOf(btf.struct('tcp_sock')), 'tcp_sock')
})

const bpftool = absent ?? failure('bpftool', ['version'])

/** Why a program cannot be run. */
function failure(program: string, args: readonly string[]): string | undefined {
  try {
    execFileSync(program, args, { stdio: 'ignore' })
    return undefined
  } catch (error) {
    return `${program}: ${(error as Error).message}`
  }
}

onVmlinux('bpftool finds the members of tcp_sock and others where we do', bytes => {
  const ask = ['btf', 'dump', 'file', vmlinux, 'format', 'raw']
  const dump = execFileSync('bpftool', ask, { encoding: 'utf8', maxBuffer: 2 ** 28 })
  const btf = parseBtf(bytes)
  assert.is(btf.types, dump.match(/^\[\d+\]/gm)?.length)
  const fewest = { tcp_sock: 100, sock_common: 10, sock: 50, task_struct: 100, tcphdr: 10 }
  for (const [name, least] of Object.entries(fewest)) {
    const structure = new RegExp(`^\\[(\\d+)\\] STRUCT '${name}' size=(\\d+) .*\n((?:\t.*\n)*)`, 'm')
    const [, id, size, lines = ''] = structure.exec(dump) ?? []
    assert.is(btf.struct(name), Number(id), name)
    assert.is(btf.sizeOf(name), Number(size), name)
    const theirs = [...lines.matchAll(/^\t'(\w+)' type_id=\d+ bits_offset=(\d+)(?: bitfield_size=(\d+))?/gm)]
    assert.ok(theirs.length >= least, `${theirs.length} members of ${name}`)
    for (const [, member = '', bit, bits] of theirs) {
      const ours = btf.member(name, member)
      assert.is(8 * ours.offset + (ours.bitOffset ?? 0), Number(bit), member)
      // A bit field that is a whole word is none to us.
      if (Number(bits ?? 0) !== 8 * ours.size) assert.is(ours.bitSize ?? 0, Number(bits ?? 0), member)
    }
  }
}, bpftool)

test('the BTF of a module goes on where the kernel’s ends: it has the types of both', () => {
  const kernel = blob(int('int', 4), struct('sock', 8, ['state', 1, 0], ['port', 1, 32]), refer(Kind.ptr, 2))
  const module = split(kernel,
    struct('conn', 16, ['sock', 3, 0], ['state', 1, 64]), prototype(1, ['sk', 3], ['extra', 4]), refer(Kind.func, 5, 'conn_state'))
  const base = parseBtf(kernel)
  const btf = parseBtf(module, base)
  assert.equal([base.types, btf.types], [3, 6])
  assert.equal([btf.struct('conn'), btf.struct('sock'), btf.sizeOf('int')], [4, 2, 4])
  assert.equal([btf.member('conn', 'state'), btf.member('sock', 'port')], [{ offset: 8, size: 4 }, { offset: 4, size: 4 }])
  assert.equal(btf.func('conn_state'), { id: 6, params: [{ name: 'sk', typeId: 3 }, { name: 'extra', typeId: 4 }], returns: 1 })
  assert.equal([btf.nameOf(4), btf.nameOf(2)], ['conn', 'sock'])
  assert.is(base.findStruct('conn'), undefined)
  // Its names are the base's alone, or those of another.
  assert.is(parseBtf(split(kernel), base).types, 3)
  assert.throws(() => parseBtf(module), /damaged|beyond|cut off|no type/)
  assert.throws(() => parseBtf(module, { ...base }), /^a base must come from parseBtf$/)
})

test('a tracepoint has the types of its typedef and the names of the function that calls it', () => {
  const btf = parseBtf(blob(
    int('int', 4), prototype(0, ['', 1], ['', 1], ['', 1]), refer(Kind.ptr, 2), refer(Kind.typedef, 3, 'btf_trace_named'),
    refer(Kind.typedef, 3, 'btf_trace_other'), refer(Kind.typedef, 3, 'btf_trace_neither'), prototype(1, ['__data', 1], ['a', 1], ['b', 1]),
    refer(Kind.func, 7, '__traceiter_named'), refer(Kind.func, 7, '__bpf_trace_other'),
  ))
  const names = (name: string) => btf.tracepoint(name)?.params.map(({ name }) => name)
  assert.equal([names('named'), names('other'), names('neither'), names('none')], [['a', 'b'], ['a', 'b'], ['', ''], undefined])
  assert.is(btf.tracepoint('named')?.id, 4)
  assert.equal([btf.sizeOfType(1), btf.sizeOfType(3)], [4, 8])
  assert.throws(() => btf.sizeOfType(2), /^type 2 has no size$/)
})

test.run()
