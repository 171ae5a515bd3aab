import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Member } from '../../bpf-asm/index.js'
import {
  endOfTask, type KnownSocket, knownFlags, type KnownTask, numbersIn, onlyOne, pinPacket, pinSocket, pinTask, pointersOf, type Snapshot, type SocketSnapshot,
  UnpinnedError,
} from '../../src/locate/pin.js'
import { Random } from '../kit/random.js'

/** A kernel that we make up: where its fields are. */
const places = {
  daddr: [40, 4], saddr: [44, 4], dport: [60, 2], num: [62, 2], family: [64, 2], state: [66, 1], cookie: [80, 8], flags: [96, 8],
  daddr6: [112, 16], saddr6: [128, 16], owned: [148, 4], backlog: [152, 4], userlocks: [161, 1], userData: [168, 8], protocol: [180, 2],
  sport: [200, 2], writeSeq: [220, 4], sndUna: [228, 4], rcvNxt: [236, 4], copiedSeq: [248, 4], urgData: [254, 2], urgSeq: [260, 4],
  bytesReceived: [272, 8], bytesAcked: [288, 8],
} as const satisfies Record<string, readonly [offset: number, size: number]>
type Name = keyof typeof places
const size = 400

/** What such a kernel would hold in its fields. */
type Held = Record<Name, number | bigint | Uint8Array>

const pointer = 0xffff_8880_1234_5600n
const swap = (port: number) => (port & 0xff) << 8 | port >> 8

/** What never changes of a connection. */
function connect(random: Random, index: number) {
  const version = index % 2 ? 16 : 4
  const bytes = () => Uint8Array.from({ length: version }, () => 1 + random.below(255))
  const port = () => 1024 + random.below(60_000)
  const start = () => random.below(2 ** 32)
  return { index, version, address: bytes(), remoteAddress: bytes(), port: port(), remotePort: port(), first: start(), theirs: start() }
}

/** A socket in some situation: all that there is to know of it, and what its fields hold. */
function situation(random: Random, connection: ReturnType<typeof connect>, turn: number): { known: Required<KnownSocket>; held: Held } {
  const { index, version, address, remoteAddress, port, remotePort, first, theirs } = connection
  const some = () => 1 + random.below(100_000)
  const [written, received, unacked, unread] = [200_000 + some(), 200_000 + some(), some(), some()]
  const known: Required<KnownSocket> = {
    family: version === 4 ? 2 : 10, state: 1 + random.below(11), port, remotePort, address, remoteAddress, protocol: 6,
    owned: random.chance(0.5), backlog: random.below(100), locks: (index + 3 * turn) % 16, flags: Object.values(knownFlags)
      .reduce((flags, flag) => random.chance(0.5) ? flags | flag : flags, 0), cookie: BigInt(1 + index), mapped: turn === 3, written, received,
    unacked, unread, bytesAcked: written - unacked, bytesReceived: received - 1, urgent: 0x100 + random.below(256), urgentAt: some(),
  }
  const copied = (theirs + received - unread) >>> 0
  const short = (bytes: Uint8Array) => version === 4 ? bytes : new Uint8Array(4)
  const long = (bytes: Uint8Array) => version === 16 ? bytes : new Uint8Array(16)
  return {
    known,
    held: {
      daddr: short(remoteAddress), saddr: short(address), daddr6: long(remoteAddress), saddr6: long(address), dport: swap(remotePort), num: port,
      family: known.family, state: known.state, cookie: known.cookie, flags: BigInt(known.flags | 0xff00 | 1), owned: Number(known.owned),
      backlog: known.backlog, userlocks: known.locks << 2 | 3, userData: known.mapped ? pointer + 3n : 0n, protocol: 6, sport: swap(port),
      writeSeq: (first + written) >>> 0, sndUna: (first + written - unacked) >>> 0, rcvNxt: (theirs + received) >>> 0, copiedSeq: copied,
      urgData: known.urgent, urgSeq: (copied + known.urgentAt) >>> 0, bytesReceived: BigInt(known.bytesReceived), bytesAcked: BigInt(known.bytesAcked),
    },
  }
}

function put(bytes: Uint8Array, offset: number, size: number, value: number | bigint | Uint8Array): void {
  const number = (value: bigint) => Uint8Array.from({ length: size }, (_, index) => Number(value >> BigInt(8 * index) & 0xffn))
  bytes.set(value instanceof Uint8Array ? value : number(BigInt(value)), offset)
}

/** A snapshot before it is taken, so that a test can change what there is to see. */
interface Scene {
  readonly connection: number
  known: KnownSocket
  held: Held
  /** More that lies there. */
  more: [offset: number, size: number, value: number | bigint | Uint8Array][]
}

function scenes(random: Random): Scene[] {
  return Array.from({ length: 8 }, (_, index) => connect(random, index)).flatMap(connection =>
    Array.from({ length: 6 }, (_, turn) => ({ connection: connection.index, ...situation(random, connection, turn), more: [] })))
}

function look(random: Random, all: readonly Scene[]): SocketSnapshot[] {
  return all.map(({ connection, known, held, more }) => {
    // Half of it never changes, as most of a socket.
    const bytes = Uint8Array.from({ length: size }, (_, index) => index % 16 < 8 ? 0 : random.below(256))
    for (const [name, [offset, size]] of Object.entries(places)) put(bytes, offset, size, held[name as Name])
    for (const [offset, size, value] of more) put(bytes, offset, size, value)
    return { connection, known, bytes }
  })
}

const expected = (found: Readonly<Record<string, Member>>) =>
  Object.fromEntries(Object.entries(found).map(([name, { offset, size }]) => [name, [offset, size]]))

/** What pinning fails with. */
function failure(run: () => unknown): UnpinnedError {
  try {
    run()
  } catch (error) {
    if (error instanceof UnpinnedError) return error
    throw error
  }
  throw new Error('all fields were found')
}

/** What a field is called in messages. */
const called: Partial<Record<Name, string>> = {
  sport: 'inet_sport', dport: 'skc_portpair', num: 'skc_portpair', daddr: 'skc_addrpair', saddr: 'skc_addrpair', daddr6: 'skc_v6_daddr',
  saddr6: 'skc_v6_daddr', family: 'skc_family', state: 'skc_state', cookie: 'skc_cookie', flags: 'skc_flags', owned: 'sk_lock.owned',
  backlog: 'sk_max_ack_backlog', userlocks: 'sk_userlocks', userData: 'sk_user_data', protocol: 'sk_protocol', writeSeq: 'write_seq',
  sndUna: 'snd_una', rcvNxt: 'rcv_nxt', copiedSeq: 'copied_seq', urgData: 'urg_data', urgSeq: 'urg_seq', bytesReceived: 'bytes_received',
  bytesAcked: 'bytes_acked',
}

const random = new Random()
const check = (title: string, run: () => void) => test(title, () => random.repeat(1, run))

check('every field of a socket is found among what else lies there', () => {
  const found = pinSocket(look(random, scenes(random)))
  assert.equal(expected(found), { ...places })
  assert.equal(found.userlocks, { offset: 161, size: 1, bitOffset: 2, bitSize: 4 })
})

check('a field that is nowhere is an error that names it', () => {
  for (const [name, [offset, size]] of Object.entries(places)) {
    const all = scenes(random)
    for (const scene of all) scene.more.push([offset, size, new Uint8Array(size).fill(0xa5)])
    const error = failure(() => pinSocket(look(random, all)))
    assert.is(error.field, called[name as Name], name)
    assert.is(error.places, 0, name)
    assert.match(error.message, `${error.field} cannot be found: 0 places`)
  }
})

check('a field that could be in two places is an error, and never the first of them', () => {
  const room: Partial<Record<Name, readonly [offset: number, from: number, size: number]>> = {
    dport: [28, 60, 4], daddr: [24, 40, 8], daddr6: [0, 112, 32],
  }
  for (const [name, [from, size]] of Object.entries(places)) {
    if (['num', 'saddr', 'saddr6'].includes(name)) continue
    const inTcp = from > places.sport[0]
    const [to, source, length] = room[name as Name] ?? [inTcp || name === 'sport' ? 320 : 8, from, size]
    const snapshots = look(random, scenes(random)).map(snapshot => ({ ...snapshot, bytes: snapshot.bytes.slice() }))
    for (const { bytes } of snapshots) bytes.copyWithin(to, source, source + length)
    const error = failure(() => pinSocket(snapshots))
    assert.is(error.field, called[name as Name], name)
    assert.is(error.places, 2, name)
  }
})

check('one situation is enough to tell copies apart', () => {
  const all = scenes(random)
  for (const { held, more } of all) more.push([320, 4, held.sndUna])
  const odd = all[11]!
  odd.more.push([320, 4, Number(odd.held.sndUna) + 1])
  assert.equal(pinSocket(look(random, all)).sndUna, { offset: 228, size: 4 })
  all.splice(11, 1)
  assert.is(failure(() => pinSocket(look(random, all))).places, 2)
})

check('a counter that moves like a sequence number is none, for it starts at the same value in every connection', () => {
  const all = scenes(random)
  for (const { known, more } of all) more.push([320, 4, known.written!], [340, 4, known.received!])
  assert.equal(expected(pinSocket(look(random, all))), { ...places })
})

check('what too little is known of is an error even where one place fits', () => {
  const cases: [string, (scene: Scene, index: number) => Partial<KnownSocket>][] = [
    ['snd_una', (_, index) => ({ unacked: index % 2 })],
    ['urg_seq', () => ({ urgentAt: 7 })],
    ['bytes_acked', () => ({ bytesAcked: 7 })],
    ['sk_max_ack_backlog', (_, index) => ({ backlog: index % 2 })],
    ['sk_lock.owned', () => ({ owned: false })],
  ]
  for (const [field, change] of cases) {
    const all = scenes(random)
    all.forEach((scene, index) => {
      scene.known = { ...scene.known, ...change(scene, index) }
      const { known, held } = scene
      Object.assign(held, {
        sndUna: (Number(held.writeSeq) - known.unacked!) >>> 0, urgSeq: (Number(held.copiedSeq) + known.urgentAt!) >>> 0, bytesAcked: BigInt(known.bytesAcked!),
        backlog: known.backlog, owned: Number(known.owned),
      })
    })
    const error = failure(() => pinSocket(look(random, all)))
    assert.is(error.field, field)
    assert.is(error.places, undefined, field)
    assert.match(error.message, `${field} cannot be found: too little is known of it`)
  }
})

check('two snapshots are not enough, and names must differ', () => {
  const all = scenes(random)
  for (const scene of all.slice(2)) {
    const { state, ...known } = scene.known
    scene.known = known
  }
  all.slice(0, 2).forEach((scene, index) => {
    scene.known = { ...scene.known, state: 1 + index }
    scene.held.state = 1 + index
  })
  const error = failure(() => pinSocket(look(random, all)))
  assert.equal([error.field, error.places], ['skc_state', undefined])
  const alike = threads(random).map(({ known, bytes }) => ({ bytes, known: { ...known, name: 'abcdefgh' } }))
  assert.is(failure(() => pinTask(alike)).field, 'comm')
})

check('one connection is not enough to distinguish sequence numbers from counters', () => {
  const all = scenes(random).map(scene => ({ ...scene, connection: 0 }))
  assert.is(failure(() => pinSocket(look(random, all))).field, 'write_seq')
})

check('the protocol is one byte where what follows is not of it, and two where MPTCP says so', () => {
  const narrow = scenes(random)
  for (const { more } of narrow) more.push([180, 2, 0xa501], [183, 2, 6 | 0x0100])
  assert.equal(pinSocket(look(random, narrow)).protocol, { offset: 183, size: 1 })
  // A byte that is always 6 is the protocol of no MPTCP socket.
  const wide = scenes(random)
  for (const { more } of wide) more.push([184, 1, 6])
  assert.is(failure(() => pinSocket(look(random, wide))).places, 2)
  wide.push({ ...wide[0]!, known: { protocol: 262 }, more: [[180, 2, 262], [184, 2, 6]] })
  assert.equal(pinSocket(look(random, wide)).protocol, { offset: 180, size: 2 })
})

check('without IPv6 and sockmaps there are fewer fields', () => {
  const all = scenes(random).filter(({ connection }) => connection % 2 === 0)
  for (const scene of all) {
    const { mapped, ...known } = scene.known
    scene.known = known
  }
  const { daddr6, saddr6, userData, ...others } = expected(pinSocket(look(random, all)))
  assert.equal([daddr6, saddr6, userData], [undefined, undefined, undefined])
  assert.equal(Object.keys(others).length, Object.keys(places).length - 3)
})

check('the socket of a packet is found by several, and not by one', () => {
  const packets = Array.from({ length: 3 }, (_, index) => {
    const bytes = Uint8Array.from({ length: 300 }, () => random.below(256))
    const socket = pointer + BigInt(2048 * index)
    put(bytes, 24, 8, socket)
    return { known: { socket }, bytes }
  })
  assert.equal(pinPacket(packets), { skbSk: { offset: 24, size: 8 } })
  assert.is(failure(() => pinPacket([packets[0]!, packets[0]!, packets[0]!])).places, undefined)
  put(packets[2]!.bytes, 24, 8, 0)
  assert.is(failure(() => pinPacket(packets)).places, 0)
})

const task = { flags: 20, pid: 300, tgid: 304, leader: 360, comm: 500 } as const

/** Threads of a process whose number is also in other places, each with another thread behind it. */
function threads(random: Random, count = 3): Snapshot<KnownTask>[] {
  const tgid = 120
  const leader = 0xffff_8881_0000_0000n
  return Array.from({ length: count }, (_, index) => {
    const bytes = Uint8Array.from({ length: 4000 }, () => random.below(256))
    const known = { tgid, leader, name: `abcdefgh-${index}`, flags: 0x400000 + (index === 0 ? 0 : 64) }
    for (const start of [0, 2000]) {
      for (const prio of [100, 104, 108]) put(bytes, start + prio, 4, 120)
      put(bytes, start + task.flags, 4, known.flags)
      put(bytes, start + task.pid, 4, tgid + index)
      put(bytes, start + task.tgid, 4, tgid)
      put(bytes, start + task.leader, 8, leader)
      put(bytes, start + task.comm, 16, new Uint8Array(16))
      put(bytes, start + task.comm, 10, new TextEncoder().encode(start === 0 ? known.name : 'abcdefgh-x'))
    }
    return { known, bytes }
  })
}

check('the fields of a task are found, and not those of its neighbour in memory', () => {
  assert.equal(pinTask(threads(random)), {
    tgid: { offset: 304, size: 4 }, leader: { offset: 360, size: 8 }, comm: { offset: 500, size: 16 }, taskFlags: { offset: 20, size: 4 },
  })
  assert.is(endOfTask({ offset: 500, size: 16 }), 1028)
})

check('a single thread is not enough to distinguish its id from its process’s', () => {
  assert.is(failure(() => pinTask(threads(random, 1))).field, 'tgid')
})

check('a task whose flags are in two places is an error', () => {
  const snapshots = threads(random)
  for (const { bytes, known } of snapshots) put(bytes, 40, 4, known.flags)
  const error = failure(() => pinTask(snapshots))
  assert.is(error.field, 'task_struct.flags')
  assert.is(error.places, 2)
})

test('addresses of the kernel and numbers are found by their look', () => {
  const bytes = new Uint8Array(64)
  put(bytes, 8, 8, pointer)
  put(bytes, 16, 8, pointer + 1n)
  put(bytes, 24, 8, 0x7fff_0000_0000n)
  put(bytes, 36, 4, 0xf000_0001)
  assert.equal(pointersOf(bytes), [{ offset: 8, address: pointer }])
  assert.equal(numbersIn(bytes, 0xf000_0001), [36])
  assert.is(onlyOne('mnt_ns', ['it']), 'it')
  assert.is(failure(() => onlyOne('mnt_ns', [])).places, 0)
  assert.is(failure(() => onlyOne('mnt_ns', [1, 2])).message, 'without BTF the field mnt_ns cannot be found: 2 places in the kernel’s memory fit')
})

test.run()
