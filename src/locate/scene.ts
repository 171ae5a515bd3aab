import { type Address, type BpfMap, type Kernel, type Socket, SyscallError, UnsupportedError } from '../../syscall/index.js'
import { Scope } from '../trace/index.js'
import type { KernelMemory } from './kernel-memory.js'
import { type KnownSocket, knownFlags, pointersOf, type Snapshot, type SocketSnapshot } from './pin.js'

/** include/uapi/asm-generic/socket.h, include/uapi/linux/{in,in6,tcp}.h, include/linux/socket.h */
const socketLevel = { level: 1, broadcast: 6, sendBuffer: 7, receiveBuffer: 8, keepAlive: 9, oobInline: 10, linger: 13, cookie: 57 } as const
const inet6Level = { level: 41, only: 26 } as const
const tcpLevel = { level: 6, noDelay: 1, maxSegment: 2, info: 11, quickAck: 12 } as const
const message = { oob: 0x1, dontWait: 0x40, waitAll: 0x100 } as const
const protocol = { tcp: 6, mptcp: 262 } as const
const family = { 4: 2, 6: 10 } as const
/** include/net/tcp_states.h */
const state = { established: 1, synSent: 2, finWait2: 5, closeWait: 8, listen: 10 } as const
/** `SOCK_SNDBUF_LOCK` and its sisters (include/net/sock.h): the process has set the size, or bound the address or the port itself. */
const lock = { sendBuffer: 1, receiveBuffer: 2, address: 4, port: 8 } as const
/** TCP_URG_VALID and TCP_URG_READ (include/net/tcp.h) */
const urgent = { valid: 0x100, read: 0x400 } as const

/** More than the bytes of any `struct tcp6_sock` up to what is looked for. */
const socketSize = 4096
/** Segments of the connections, so that a whole number of them is not much. */
const segment = 1000
/** Milliseconds between two looks, and how many. */
const [pause, looks] = [1, 10_000]

/** How a connection is made. */
interface Manner {
  readonly family: 4 | 6
  readonly locks: number
  readonly flags: number
  readonly backlog: number
  /** Bytes of the peer's receive buffer. */
  readonly buffer?: number
}

/** A connection with itself: the client's end is looked at, the server's makes things happen there. */
interface Connection {
  readonly id: number
  readonly client: Socket
  readonly server: Socket
  readonly address: bigint
  /** What is known of the client, and will not change. */
  readonly known: KnownSocket
  /** Bytes that the client has sent, that were sent to it, and that it has read; and the FINs, which count as one each. */
  sent: number
  received: number
  read: number
  finSent: number
  finReceived: number
  finRead: number
}

/** Part of `struct tcp_info` (include/uapi/linux/tcp.h). */
interface Info {
  readonly state: number
  readonly mss: number
  readonly bytesAcked: number
  readonly bytesReceived: number
  readonly notSent: number
  /** Of a listening socket. */
  readonly backlog: number
}

export interface Sights {
  readonly sockets: readonly SocketSnapshot[]
  /** Packets that such a socket has sent. */
  readonly packets: readonly Snapshot<{ readonly socket: bigint }>[]
}

/** Brings TCP sockets on the loopback interface into situations in which their fields differ, and looks at them. */
export function lookAtSockets(kernel: Kernel, memory: KernelMemory, random: (end: number) => number): Sights {
  const snapshots: SocketSnapshot[] = []
  const packets: Snapshot<{ readonly socket: bigint }>[] = []
  const scope = new Scope()
  let connections = 0
  const open = (spec: Parameters<Kernel['openSocket']>[0]) => scope.own(kernel.openSocket(spec))

  /** An address of its own, of those that the loopback interface has all of. */
  function loopback(version: 4 | 6, port = 0): Address {
    const inet = [127, 1 + random(250), 1 + random(250), 1 + random(250)]
    return { bytes: version === 4 ? Uint8Array.from(inet) : Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...inet), port }
  }

  function show(address: bigint, connection: number, known: KnownSocket, moment?: { during(): void }): void {
    const bytes = memory.read([{ address, size: socketSize }], moment && { socket: address, ...moment })[0]!
    snapshots.push({ connection, known, bytes })
  }

  /** A listening socket, seen with some backlogs. */
  function listen(version: 4 | 6, backlogs: readonly number[], buffer?: number) {
    const socket = open({ family: version })
    if (version === 6) socket.setOption(inet6Level.level, inet6Level.only, 0)
    if (buffer !== undefined) socket.setOption(socketLevel.level, socketLevel.receiveBuffer, buffer)
    socket.bind(loopback(version))
    const address = memory.socketOf(() => socket.listen(backlogs[0]!))
    const { bytes, port } = socket.localAddress()
    const id = connections++
    const known: KnownSocket = {
      family: family[version], state: state.listen, port, remotePort: 0, address: bytes, remoteAddress: new Uint8Array(bytes.length),
      protocol: protocol.tcp, owned: false, locks: lock.address | (buffer === undefined ? 0 : lock.receiveBuffer), flags: 0, mapped: false,
    }
    for (const backlog of backlogs) {
      socket.listen(backlog)
      // The kernel may have put it lower (net.core.somaxconn).
      show(address, id, { ...known, backlog: infoOf(socket).backlog })
    }
    return { socket, at: { bytes, port } }
  }

  function connect({ family: version, locks, flags, backlog, buffer }: Manner): Connection {
    const listener = listen(version, [backlog + 1, backlog], buffer)
    const client = configured(open({ family: version }), { family: version, locks, flags })
    const address = memory.socketOf(() => client.connect(listener.at))
    const server = scope.own(listener.socket.accept())
    server.setOption(tcpLevel.level, tcpLevel.noDelay, 1)
    const { bytes, port } = client.localAddress()
    const known: KnownSocket = {
      family: family[version], port, remotePort: listener.at.port, address: bytes, remoteAddress: listener.at.bytes,
      protocol: protocol.tcp, owned: false, backlog: 0, locks, mapped: false, urgent: 0,
    }
    const connection = { id: connections++, client, server, address, known, sent: 0, received: 0, read: 0, finSent: 0, finReceived: 0, finRead: 0 }
    look(connection, { flags })
    return connection
  }

  /** Sets what the locks and flags record. */
  function configured(client: Socket, { family: version, locks, flags }: Pick<Manner, 'family' | 'locks' | 'flags'>): Socket {
    if (version === 6) client.setOption(inet6Level.level, inet6Level.only, 0)
    client.setOption(tcpLevel.level, tcpLevel.noDelay, 1)
    client.setOption(tcpLevel.level, tcpLevel.maxSegment, segment)
    const set = (name: number, value: number | Uint8Array) => client.setOption(socketLevel.level, name, value)
    if (locks & lock.sendBuffer) set(socketLevel.sendBuffer, 1 << 17)
    if (locks & lock.receiveBuffer) set(socketLevel.receiveBuffer, 1 << 17)
    if (flags & knownFlags.broadcast) set(socketLevel.broadcast, 1)
    if (flags & knownFlags.keepAlive) set(socketLevel.keepAlive, 1)
    if (flags & knownFlags.oobInline) set(socketLevel.oobInline, 1)
    if (flags & knownFlags.linger) set(socketLevel.linger, new Uint8Array(Int32Array.of(1, 1).buffer))
    const bytes = locks & lock.address ? loopback(version).bytes : new Uint8Array(version === 4 ? 4 : 16)
    if (locks & (lock.address | lock.port)) bind(client, bytes, (locks & lock.port) !== 0)
    return client
  }

  /** Binds to a port that was free just now, or leaves the choice to the kernel. */
  function bind(socket: Socket, bytes: Uint8Array, choosing: boolean): void {
    for (let left = 20; ; left--) {
      const port = choosing ? freePort() : 0
      try {
        return socket.bind({ bytes, port })
      } catch (error) {
        if (!choosing || left === 0 || !(error instanceof SyscallError && error.code === 'EADDRINUSE')) throw error
      }
    }
  }

  function freePort(): number {
    const socket = kernel.openSocket({ family: 4 })
    try {
      socket.bind(loopback(4))
      return socket.localAddress().port
    } finally {
      socket.close()
    }
  }

  function knownOf(connection: Connection, { state, bytesAcked }: Info): KnownSocket {
    const { known, sent, received, read, finSent, finReceived, finRead } = connection
    const written = 1 + sent + finSent
    return {
      ...known, state, written, unacked: written - bytesAcked, bytesAcked, received: 1 + received + finReceived,
      unread: received + finReceived - read - finRead, bytesReceived: received + finReceived,
    }
  }

  /** Looks at the client when all that was sent to it is there, and nothing moves. */
  function look(connection: Connection, more: KnownSocket & { flags: number }): void {
    const { client, address, id } = connection
    settled(connection)
    for (let left = looks; left > 0; left--) {
      const before = infoOf(client)
      const bytes = memory.read([{ address, size: socketSize }])[0]!
      if (!same(before, infoOf(client))) continue
      snapshots.push({ connection: id, known: { ...knownOf(connection, before), ...more }, bytes })
      return
    }
    throw new Error('a connection over the loopback interface does not come to rest')
  }

  /** The same in the middle of what `act` does to the state of the client, with all acknowledged before. */
  function lookDuring(connection: Connection, act: () => void, changed: (known: KnownSocket) => KnownSocket): void {
    quiet(connection)
    show(connection.address, connection.id, changed(knownOf(connection, infoOf(connection.client))), { during: act })
  }

  function send(connection: Connection, size: number): void {
    connection.sent += connection.client.send(new Uint8Array(size))
    connection.server.receive(size, message.waitAll)
  }

  /** Sends a byte, and looks at its packet; others of ours, such as a late acknowledgement, may come between. */
  function post(connection: Connection): void {
    const { address: socket } = connection
    for (let left = 10; left > 0; left--) {
      const bytes = memory.packetOf(() => send(connection, 1))
      if (left > 1 && !pointersOf(bytes).some(({ address }) => address === socket)) continue
      packets.push({ known: { socket }, bytes })
      return
    }
  }

  function receive(connection: Connection, size: number): void {
    connection.received += connection.server.send(new Uint8Array(size))
  }

  function read(connection: Connection, size: number): void {
    connection.read += connection.client.receive(size, message.waitAll).length
  }

  /** Sends and receives, and ends one way or the other. */
  function converse(manner: Manner, ending: 'ours' | 'theirs' | 'reading'): void {
    const connection = connect(manner)
    const { client, server } = connection
    const { flags } = manner
    const { mss } = infoOf(client)
    post(connection)
    for (const size of [1 + random(mss), mss * (1 + random(4)), 1 + random(10 * mss)]) {
      send(connection, size)
      look(connection, { flags })
      receive(connection, 2 + random(5000))
      look(connection, { flags })
      read(connection, 1 + random(connection.received - connection.read - 1))
      look(connection, { flags })
      receive(connection, 1 + random(5000))
      read(connection, connection.received - connection.read)
      look(connection, { flags, cookie: cookieOf(client) })
    }
    receive(connection, 1 + random(5000))
    if (ending === 'reading') {
      client.shutdown('reading')
      look(connection, { flags })
    } else if (ending === 'ours') {
      lookDuring(connection, () => client.shutdown('writing'), known => ({ ...known, flags, owned: true }))
      connection.finSent = 1
      quiet(connection)
      look(connection, { flags, state: state.finWait2 })
    } else {
      // The FIN is counted and not acknowledged yet, and no system call of the client's is at work.
      lookDuring(connection, () => server.shutdown('writing'), known => ({
        ...known, flags: flags | knownFlags.done, received: known.received! + 1, unread: known.unread! + 1, bytesReceived: known.bytesReceived! + 1,
      }))
      connection.finReceived = 1
      look(connection, { flags: flags | knownFlags.done, state: state.closeWait })
      read(connection, connection.received - connection.read)
      client.receive(1)
      connection.finRead = 1
      look(connection, { flags: flags | knownFlags.done })
      lookDuring(connection, () => client.shutdown('writing'), known => ({ ...known, flags: flags | knownFlags.done, owned: true }))
    }
  }

  /** Gets an urgent byte behind more than `ahead` others that are not read. */
  function hurry(manner: Manner, ahead: number): void {
    const connection = connect(manner)
    const { client, server } = connection
    const { flags } = manner
    receive(connection, 1 + random(1000))
    read(connection, connection.received)
    receive(connection, ahead + 1 + random(1000))
    const urgentAt = connection.received - connection.read
    const byte = 1 + random(255)
    connection.received += server.send(Uint8Array.of(byte), message.oob)
    look(connection, { flags, urgent: urgent.valid | byte, urgentAt })
    receive(connection, 1 + random(1000))
    look(connection, { flags, urgent: urgent.valid | byte, urgentAt })
    client.receive(1, message.oob)
    look(connection, { flags, urgent: urgent.read, urgentAt })
  }

  /** Sends more than the peer's buffer holds, and then an urgent byte. */
  function stuff(manner: Manner): void {
    const connection = connect(manner)
    const { client } = connection
    for (let left = 20; left > 0 && infoOf(client).notSent === 0; left--) {
      connection.sent += client.send(new Uint8Array(20_000 + random(20_000)), message.dontWait)
    }
    look(connection, { flags: manner.flags })
    connection.sent += client.send(Uint8Array.of(1), message.oob | message.dontWait)
    look(connection, { flags: manner.flags })
  }

  /** Connects to a listener that does not answer: its backlog is full. */
  function knock(version: 4 | 6): void {
    const { at } = listen(version, [0])
    configured(open({ family: version }), { family: version, locks: 0, flags: 0 }).connect(at)
    const client = configured(open({ family: version, hasty: true }), { family: version, locks: 0, flags: 0 })
    const address = memory.socketOf(() => client.connect(at))
    show(address, connections++, {
      family: family[version], state: state.synSent, protocol: protocol.tcp, written: 1, unacked: 1, bytesAcked: 0, bytesReceived: 0,
    })
  }

  /** Comes into a sockmap and out of it, if there is such a thing. */
  function share(manner: Manner): void {
    let map: BpfMap
    try {
      map = scope.own(kernel.createMap({ name: 'shared', type: 'sockmap', keySize: 4, valueSize: 4, maxEntries: 1 }))
    } catch (error) {
      if (error instanceof SyscallError && error.code === 'EINVAL') return
      if (!(error instanceof SyscallError) || error.code !== 'EPERM') throw error
      throw new UnsupportedError(`finding fields without BTF (${error.message})`, 'CAP_NET_ADMIN too, for a sockmap', { cause: error })
    }
    const connection = connect(manner)
    const { flags } = manner
    map.update(new Uint8Array(4), new Uint8Array(Uint32Array.of(connection.client.fd).buffer))
    look(connection, { flags, mapped: true })
    map.delete(new Uint8Array(4))
    look(connection, { flags })
  }

  /** Its socket is of another protocol, and of no other field of it is anything known. */
  function listenMptcp(): void {
    let socket: Socket
    try {
      socket = open({ family: 4, protocol: protocol.mptcp })
    } catch (error) {
      if (error instanceof SyscallError && ['EPROTONOSUPPORT', 'ENOPROTOOPT', 'EINVAL'].includes(error.code)) return
      throw error
    }
    socket.bind(loopback(4))
    show(memory.socketOf(() => socket.listen(1)), connections++, { protocol: protocol.mptcp })
  }

  try {
    const other = hasInet6(kernel) ? 6 : 4
    const { broadcast, keepAlive, linger, oobInline } = knownFlags
    const manner = (family: 4 | 6, locks: number, flags: number): Manner => ({ family, locks, flags, backlog: 2 + random(30) })
    converse(manner(4, 0, 0), 'theirs')
    converse(manner(other, lock.port | lock.address | lock.receiveBuffer | lock.sendBuffer, broadcast | keepAlive), 'ours')
    converse(manner(4, lock.sendBuffer | lock.address, linger), 'reading')
    converse(manner(other, lock.receiveBuffer | lock.port, keepAlive | oobInline), 'theirs')
    converse(manner(4, lock.sendBuffer | lock.receiveBuffer, broadcast | linger | oobInline), 'ours')
    converse(manner(4, lock.address | lock.port, 0), 'reading')
    for (let turn = 0; turn < 3; turn++) hurry(manner(turn === 1 ? other : 4, 0, 0), 1000 * turn)
    for (let turn = 0; turn < 3; turn++) stuff({ ...manner(turn === 1 ? other : 4, lock.sendBuffer, 0), buffer: 8192 })
    knock(4)
    knock(other)
    for (let turn = 0; turn < 2; turn++) share(manner(turn === 1 ? other : 4, 0, 0))
    listenMptcp()
    return { sockets: snapshots, packets }
  } finally {
    scope.close()
  }
}

/** Without IPv6 there are no sockets that could have such an address. */
function hasInet6(kernel: Kernel): boolean {
  try {
    kernel.openSocket({ family: 6 }).close()
    return true
  } catch (error) {
    if (error instanceof SyscallError && error.code === 'EAFNOSUPPORT') return false
    throw error
  }
}

/** Waits until all that was sent to the client has arrived. */
function settled({ client, received, finReceived }: Connection): void {
  until(() => infoOf(client).bytesReceived === received + finReceived, 'what was sent does not arrive')
}

/** Waits until the client's peer has acknowledged all, and the client what was sent to it. */
function quiet(connection: Connection): void {
  const { client, server, sent, finSent } = connection
  settled(connection)
  for (const socket of [client, server]) socket.setOption(tcpLevel.level, tcpLevel.quickAck, 1)
  until(() => infoOf(client).bytesAcked === 1 + sent + finSent, 'what was sent is not acknowledged')
}

function until(come: () => boolean, otherwise: string): void {
  for (let left = looks; !come(); left--) {
    if (left === 0) throw new Error(`on the loopback interface ${otherwise}`)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pause)
  }
}

function infoOf(socket: Socket): Info {
  const bytes = socket.option(tcpLevel.level, tcpLevel.info, 256)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return {
    state: view.getUint8(0),
    mss: view.getUint32(16, true),
    bytesAcked: Number(view.getBigUint64(120, true)),
    bytesReceived: Number(view.getBigUint64(128, true)),
    notSent: view.getUint32(144, true),
    backlog: view.getUint8(0) === state.listen ? view.getUint32(28, true) : 0,
  }
}

function same(one: Info, other: Info): boolean {
  return (Object.keys(one) as (keyof Info)[]).every(name => one[name] === other[name])
}

function cookieOf(socket: Socket): bigint {
  const bytes = socket.option(socketLevel.level, socketLevel.cookie, 8)
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)
}
