import type { Member } from '../../bpf-asm/index.js'
import { UnsupportedError } from '../../syscall/index.js'

/** What is known of a socket at the moment its memory was read. */
export interface KnownSocket {
  readonly family?: number
  readonly state?: number
  /** Local port; the remote one is 0 without a connection. */
  readonly port?: number
  readonly remotePort?: number
  /** 4 or 16 bytes; the remote address is of zeros without a connection. */
  readonly address?: Uint8Array
  readonly remoteAddress?: Uint8Array
  readonly protocol?: number
  /** Whether a system call holds the socket's lock. */
  readonly owned?: boolean
  /** What listen() was called with, or 0. */
  readonly backlog?: number
  /** `SOCK_…_LOCK`: what the process has chosen itself. */
  readonly locks?: number
  /** Those of `enum sock_flags` that are in `knownFlags`. */
  readonly flags?: number
  readonly cookie?: bigint
  /** Whether the socket is in a sockmap. */
  readonly mapped?: boolean
  /** Sequence numbers used: SYN, bytes and FIN. */
  readonly written?: number
  readonly received?: number
  /** Those that the peer has not acknowledged, and that the process has not read. */
  readonly unacked?: number
  readonly unread?: number
  /** The two counters as the kernel counts: `bytes_acked` has the SYN and the FIN, `bytes_received` the FIN. */
  readonly bytesAcked?: number
  readonly bytesReceived?: number
  /** The urgent byte that has arrived: `urg_data`, and where it lies behind what was read. */
  readonly urgent?: number
  readonly urgentAt?: number
}

/** Of `enum sock_flags` (include/net/sock.h) those that a process can set at will, and SOCK_DONE. */
export const knownFlags = { done: 1 << 1, oobInline: 1 << 2, keepAlive: 1 << 3, linger: 1 << 4, broadcast: 1 << 6 } as const
const flagMask = Object.values(knownFlags).reduce((mask, flag) => mask | flag)

/** KernelMemory that was read, and what is known of it. */
export interface Snapshot<What> {
  readonly known: What
  readonly bytes: Uint8Array
}

/** A snapshot of a socket; those of one connection have the same first sequence numbers. */
export interface SocketSnapshot extends Snapshot<KnownSocket> {
  readonly connection: number
}

/** What is known of a task. */
export interface KnownTask {
  readonly tgid: number
  readonly leader: bigint
  readonly name: string
  /** `PF_…`, as /proc shows them. */
  readonly flags: number
}

/** A field that has no place or more than one, or that too little was seen of. It is never guessed. */
export class UnpinnedError extends UnsupportedError {
  /** `places`: how many fit, or undefined when too little was known. */
  constructor(readonly field: string, readonly places?: number) {
    const why = places === undefined ? 'too little is known of it' : `${places} places in the kernel’s memory fit`
    super(`without BTF the field ${field} cannot be found: ${why}`)
  }
}

/** Where a field may lie: a structure within another begins before what follows it. */
export interface Range {
  readonly from?: number
  readonly to?: number
}

/** What a field holds in a snapshot, or undefined where that is not known. */
type Holds<What> = (known: What, view: DataView) => number | bigint | Uint8Array | undefined

/** How many snapshots must have a field, so that what fits by chance is excluded. */
const fewest = 3

/** Places of a field among snapshots of one structure. */
export function pinner<What>(snapshots: readonly Snapshot<What>[]) {
  const seen = snapshots.map(snapshot => ({ ...snapshot, view: viewOf(snapshot.bytes) }))
  const shortest = Math.min(...snapshots.map(({ bytes }) => bytes.length))

  /** The only place of a field of `size` bytes for which `fits` says so. Throws UnpinnedError. */
  function only(field: string, size: number, step: number, fits: (offset: number) => boolean, { from = 0, to = shortest }: Range = {}): number {
    let [place, count] = [0, 0]
    for (let offset = Math.ceil(from / step) * step; offset + size <= Math.min(to, shortest); offset += step) {
      if (!fits(offset)) continue
      place = offset
      count++
    }
    if (count !== 1) throw new UnpinnedError(field, count)
    return place
  }

  /** The only place of a field by what it holds; in all that is known of it, it must have had `kinds` different values. */
  function byValue(
    field: string, size: number, holds: Holds<What>, { kinds = 2, step = size, ...range }: Range & { kinds?: number; step?: number } = {},
  ): Member {
    const told = seen.flatMap(({ known, view, bytes }) => {
      const value = holds(known, view)
      return value === undefined ? [] : [{ view, bytes, value: typeof value === 'number' ? BigInt(value) : value }]
    })
    if (told.length < fewest || new Set(told.map(({ value }) => String(value))).size < kinds) throw new UnpinnedError(field)
    const fits = (offset: number) => told.every(({ view, bytes, value }) =>
      typeof value === 'bigint' ? numberAt(view, offset, size) === value : value.every((byte, index) => bytes[offset + index] === byte))
    return { offset: only(field, size, step, fits, range), size }
  }
  return { seen, only, byValue }
}

/** Where the fields of a socket lie, as far as their contents show it. Throws UnpinnedError. */
export function pinSocket(snapshots: readonly SocketSnapshot[]) {
  const { seen, only, byValue } = pinner(snapshots)
  const connections = snapshots.map(({ connection }) => connection)

  /** A sequence number: it starts anywhere, and moves by what is known. What starts at the same value in every connection is a counter. */
  function sequence(field: string, moved: (known: KnownSocket) => number | undefined, range: Range): Member {
    const told = seen.map(({ known, view }, index) => ({ view, moved: moved(known), connection: connections[index]! }))
      .filter((one): one is typeof one & { moved: number } => one.moved !== undefined)
    if (new Set(told.map(({ connection }) => connection)).size < fewest) throw new UnpinnedError(field)
    if (new Set(told.map(one => one.moved)).size < counts) throw new UnpinnedError(field)
    const fits = (offset: number) => {
      const first = new Map<number, number>()
      for (const { view, moved, connection } of told) {
        const start = (view.getUint32(offset, true) - moved) >>> 0
        if ((first.get(connection) ?? start) !== start) return false
        first.set(connection, start)
      }
      return new Set(first.values()).size === first.size
    }
    return { offset: only(field, 4, 4, fits, range), size: 4 }
  }
  /** A sequence number by how far it is behind another. */
  function behind(field: string, other: Member, by: (known: KnownSocket) => number | undefined, range: Range): Member {
    const distances = snapshots.map(({ known }) => by(known)).filter(distance => distance !== undefined)
    if (new Set(distances).size < counts) throw new UnpinnedError(field)
    return byValue(field, 4, (known, view) => {
      const distance = by(known)
      return distance === undefined ? undefined : (view.getUint32(other.offset, true) - distance) >>> 0
    }, range)
  }

  const sport = byValue('inet_sport', 2, ({ port }) => port === undefined ? undefined : swapped(port))
  /** `struct sock` is what `struct inet_sock` begins with, and that is what `struct tcp_sock` does. */
  const [inSock, inTcp] = [{ to: sport.offset }, { from: sport.offset }]
  const portPair = byValue('skc_portpair', 4, ({ port, remotePort }) =>
    port === undefined || remotePort === undefined ? undefined : swapped(remotePort) + port * 0x10000, inSock).offset
  const pair = (bytes: 4 | 16) => ({ address, remoteAddress }: KnownSocket) =>
    address?.length === bytes && remoteAddress?.length === bytes ? Uint8Array.of(...remoteAddress, ...address) : undefined
  const addressPair = byValue('skc_addrpair', 8, pair(4), inSock).offset
  const hasInet6 = snapshots.some(({ known }) => known.address?.length === 16)
  const addressPair6 = hasInet6 ? byValue('skc_v6_daddr', 32, pair(16), { ...inSock, step: 4 }).offset : undefined

  const writeSeq = sequence('write_seq', ({ written }) => written, inTcp)
  const rcvNxt = sequence('rcv_nxt', ({ received }) => received, inTcp)
  const copiedSeq = behind('copied_seq', rcvNxt, ({ unread }) => unread, inTcp)
  const urgSeq = behind('urg_seq', copiedSeq, ({ urgentAt }) => urgentAt === undefined ? undefined : -urgentAt, inTcp)
  return {
    family: byValue('skc_family', 2, ({ family }) => family, { ...inSock, kinds: hasInet6 ? 2 : 1 }),
    state: byValue('skc_state', 1, ({ state }) => state, inSock),
    sport,
    dport: { offset: portPair, size: 2 },
    num: { offset: portPair + 2, size: 2 },
    daddr: { offset: addressPair, size: 4 },
    saddr: { offset: addressPair + 4, size: 4 },
    ...addressPair6 === undefined ? {} : { daddr6: { offset: addressPair6, size: 16 }, saddr6: { offset: addressPair6 + 16, size: 16 } },
    protocol: protocol(),
    cookie: byValue('skc_cookie', 8, ({ cookie }) => cookie, { ...inSock, kinds: counts }),
    flags: flags(),
    owned: byValue('sk_lock.owned', 4, ({ owned }) => owned === undefined ? undefined : Number(owned), inSock),
    backlog: byValue('sk_max_ack_backlog', 4, ({ backlog }) => backlog, { ...inSock, kinds: counts }),
    userlocks: userlocks(),
    ...userData(),
    bytesReceived: byValue('bytes_received', 8, ({ bytesReceived }) => bytesReceived, { ...inTcp, kinds: counts }),
    bytesAcked: byValue('bytes_acked', 8, ({ bytesAcked }) => bytesAcked, { ...inTcp, kinds: counts }),
    writeSeq,
    sndUna: behind('snd_una', writeSeq, ({ unacked }) => unacked, inTcp),
    rcvNxt,
    copiedSeq,
    urgData: byValue('urg_data', 2, ({ urgent }) => urgent, { ...inTcp, kinds: counts }),
    urgSeq,
  }

  /** Two bytes, but a bit field of one before 5.6. */
  function protocol(): Member {
    const told = seen.filter(({ known }) => known.protocol !== undefined)
    if (told.length < fewest) throw new UnpinnedError('sk_protocol')
    const offset = only('sk_protocol', 2, 1, offset => told.every(({ view, known }) => {
      const expected = known.protocol!
      return view.getUint8(offset) === (expected & 0xff) && (expected < 0x100 || view.getUint16(offset, true) === expected)
    }), inSock)
    const isWide = offset % 2 === 0 && told.every(({ view, known }) => view.getUint16(offset, true) === known.protocol)
    return { offset, size: isWide ? 2 : 1 }
  }

  function flags(): Member {
    const told = seen.filter(({ known }) => known.flags !== undefined)
    const isStill = (flag: number) => new Set(told.map(({ known }) => known.flags! & flag)).size < 2
    if (Object.values(knownFlags).some(isStill)) throw new UnpinnedError('skc_flags')
    const fits = (offset: number) => told.every(({ view, known }) => (view.getUint8(offset) & flagMask) === known.flags)
    return { offset: only('skc_flags', 8, 8, fits, inSock), size: 8 }
  }

  /** Four bits somewhere in a byte. */
  function userlocks(): Member {
    const told = seen.filter(({ known }) => known.locks !== undefined)
    const [count, size] = [4, 8]
    const isStill = (bit: number) => new Set(told.map(({ known }) => known.locks! & bit)).size < 2
    if ([1, 2, 4, 8].some(isStill)) throw new UnpinnedError('sk_userlocks')
    const found: Member[] = []
    for (let offset = 0; offset < sport.offset; offset++) {
      for (let bitOffset = 0; bitOffset + count <= size; bitOffset++) {
        const fits = told.every(({ view, known }) => (view.getUint8(offset) >> bitOffset & 15) === known.locks)
        if (fits) found.push({ offset, size: 1, bitOffset, bitSize: count })
      }
    }
    if (found.length !== 1) throw new UnpinnedError('sk_userlocks', found.length)
    return found[0]!
  }

  /** A pointer while the socket is in a sockmap, else nothing. Without sockmaps it cannot matter. */
  function userData(): { userData?: Member } {
    if (!snapshots.some(({ known }) => known.mapped)) return {}
    const told = seen.filter(({ known }) => known.mapped !== undefined)
    const fits = (offset: number) => told.every(({ view, known }) => {
      const value = view.getBigUint64(offset, true)
      return known.mapped ? isPointer(value & ~7n) : value === 0n
    })
    return { userData: { offset: only('sk_user_data', 8, 8, fits, inSock), size: 8 } }
  }
}

/** Where the socket lies in packets of some sockets. Throws UnpinnedError. */
export function pinPacket(snapshots: readonly Snapshot<{ readonly socket: bigint }>[]): { skbSk: Member } {
  return { skbSk: pinner(snapshots).byValue('sk_buff.sk', 8, ({ socket }) => socket, { kinds: counts }) }
}

/** Where the fields of a task lie, by the threads of one process, its leader first. Throws UnpinnedError. */
export function pinTask(snapshots: readonly Snapshot<KnownTask>[]) {
  if (snapshots.length < 2) throw new UnpinnedError('tgid')
  const { seen, only, byValue } = pinner(snapshots)
  const padded = (name: string) => Uint8Array.from({ length: 16 }, (_, index) => name.charCodeAt(index) || 0)
  // Names are all different, so that there is no mistaking one.
  const comm = byValue('comm', 16, ({ name }) => padded(name), { kinds: snapshots.length, step: 1 })
  const inTask = { to: endOfTask(comm) }
  // A small number may be anywhere; but before it lies the thread’s own, which is the same in the leader alone.
  const pidPair = only('tgid', 8, 4, offset => {
    const pids = seen.map(({ view }) => view.getUint32(offset, true))
    return seen.every(({ view, known: { tgid } }, index) => view.getUint32(offset + 4, true) === tgid && (pids[index] === tgid) === (index === 0)) &&
      new Set(pids).size === pids.length
  }, inTask)
  return {
    tgid: { offset: pidPair + 4, size: 4 },
    leader: byValue('group_leader', 8, ({ leader }) => leader, { ...inTask, kinds: 1 }),
    comm,
    taskFlags: byValue('task_struct.flags', 4, ({ flags }) => flags, inTask),
  }
}

/**
 * Where the search for fields of a task ends: what lies behind it may be another thread of the same process, with the same in it. On all
 * kernels that we know everything that is looked for lies before the name or at most 104 bytes behind it, and thousands follow.
 */
export function endOfTask({ offset, size }: Member): number {
  return offset + size + 512
}

/** Every aligned word of the bytes that looks like an address of the kernel's, with where it lies. */
export function pointersOf(bytes: Uint8Array): { readonly offset: number; readonly address: bigint }[] {
  const view = viewOf(bytes)
  return Array.from({ length: Math.floor(bytes.length / 8) }, (_, index) => ({ offset: 8 * index, address: view.getBigUint64(8 * index, true) }))
    .filter(({ address }) => isPointer(address))
}

/** Where a number of 4 bytes lies. */
export function numbersIn(bytes: Uint8Array, number: number): number[] {
  const view = viewOf(bytes)
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, index) => 4 * index).filter(offset => view.getUint32(offset, true) === number)
}

/** The only one. Throws UnpinnedError. */
export function onlyOne<Place>(field: string, places: readonly Place[]): Place {
  if (places.length !== 1) throw new UnpinnedError(field, places.length)
  return places[0]!
}

/** Of what is counted, how many different values must have been seen. */
const counts = 3

function isPointer(value: bigint): boolean {
  return value >> 56n === 0xffn && value % 8n === 0n
}

function swapped(port: number): number {
  return (port & 0xff) << 8 | port >> 8
}

function numberAt(view: DataView, offset: number, size: number): bigint {
  switch (size) {
    case 1: return BigInt(view.getUint8(offset))
    case 2: return BigInt(view.getUint16(offset, true))
    case 4: return BigInt(view.getUint32(offset, true))
    default: return view.getBigUint64(offset, true)
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}
