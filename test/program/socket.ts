import type { Member } from '../../bpf-asm/index.js'
import type { KernelFields } from '../../src/program/index.js'
import { Struct } from './struct.js'
import type { World } from './world.js'

const [inet, inet6] = [2, 10]
export const [tcp, mptcp] = [6, 262]
/** include/net/tcp_states.h */
export const state = { established: 1, synSent: 2, synRecv: 3, finWait1: 4, finWait2: 5, close: 7, closeWait: 8, lastAck: 9, listen: 10, closing: 11 } as const
/** `SOCK_DEAD` and `SOCK_DONE` (include/net/sock.h) */
const [dead, done] = [1, 2]
/** `SOCK_BINDPORT_LOCK` */
const portChosen = 8
/** `TCP_URG_VALID` and `TCP_URG_READ` (include/net/tcp.h) */
const [urgentValid, urgentRead] = [0x0100, 0x0400]
/** include/linux/socket.h */
export const flag = { urgent: 0x1, peek: 0x2, dontWait: 0x40, errorQueue: 0x2000, splicePages: 0x8000000 } as const

const [mapped, ipv4, ipv6] = [Buffer.from('00000000000000000000ffff', 'hex'), 'IPv4', 'IPv6']
export type Family = 'v4' | 'v6' | 'mapped'

/** How a connection comes to be. */
export interface Opening {
  readonly family?: Family
  /** Who calls connect, or has the file. */
  readonly pid?: number
  /** The process chose the port: when the socket connects once more, it has the same. */
  readonly keepsPort?: boolean
  /** Nothing runs where the connection begins: the programs were left out. */
  readonly isUnseen?: boolean
  /** Otherwise the socket's next one. */
  readonly cookie?: number
}

/** What of a send is not as usual. */
export interface Sending {
  /** It sleeps in its middle, while others use the socket; it returns what it had queued until then if it cannot go on. */
  readonly meanwhile?: () => void
  readonly flags?: number
  /** No packet leaves before it returns: the kernel sends it later. */
  readonly isCorked?: boolean
}

/** What happens after an urgent byte was read ahead: something else, and whether the stream comes to it. */
export interface Urgent {
  readonly meanwhile?: () => void
  readonly passes?: boolean
}

/** One end of a TCP connection, its counters as tcp_sendmsg, tcp_ack, tcp_recvmsg, tcp_fin and tcp_close move them. */
export class Socket {
  readonly sock: Struct
  readonly file: Struct
  readonly #message: Struct
  readonly #packet: Struct
  readonly #field: KernelFields

  /** Who used it last; undefined when nobody is known to have, or `expected` to. */
  user: number | 'unwanted' | undefined
  /** The name of the user who has not moved bytes yet. */
  expected: string | undefined
  /** The process that had it first. */
  opener: number | undefined
  /** How rows tell it from other connections. */
  name = ''
  ends = ''
  family: 4 | 6 = 4
  /** In the receive queue, without the FIN. */
  #unread = 0
  #port = 0
  #fin = { isReceived: false, isConsumed: false }

  constructor(readonly world: World, private readonly network: Struct) {
    const { memory, random } = world
    const struct = (name: string) => new Struct(memory, `struct ${name}`)
    this.#field = world.field
    // By their addresses they have few slots.
    this.sock = new Struct(memory, 'struct tcp_sock', random.below(4))
    this.file = struct('file')
    this.#message = struct('msghdr')
    this.#packet = struct('sk_buff')
    this.#packet.set(this.#field.skbSk, this.sock.address)
    const { fileInode, filePrivate, inodeMode, socketSk } = this.#field
    if (fileInode !== undefined) {
      const [inode, socket] = [struct('inode'), struct('socket')]
      this.file.set(fileInode, inode.address)
      this.file.set(filePrivate!, socket.address)
      inode.set(inodeMode!, 0xc1ff)
      socket.set(socketSk!, this.sock.address)
    }
    this.sock.set(this.#field.protocol, tcp)
    this.sock.set(this.#field.net, network.address)
    this.sock.set(this.#field.state, state.close)
  }

  get state(): number {
    return Number(this.sock.get(this.#field.state))
  }

  get isOwned(): boolean {
    return this.sock.get(this.#field.owned) !== 0n
  }

  get isOpen(): boolean {
    return this.state !== state.close
  }

  get canSend(): boolean {
    return [state.established, state.closeWait, state.synRecv].includes(this.state as 1)
  }

  /** The peer has not ended its side. */
  get canReceive(): boolean {
    return !this.#fin.isReceived && [state.established, state.finWait1, state.finWait2].includes(this.state as 1)
  }

  get unread(): number {
    return this.#unread
  }

  /** `inet_sk_set_state`, which tells of it before it does it. */
  protected become(now: number, isUnseen = false): void {
    if (!isUnseen) this.world.at('inet_sock_set_state', { sk: this.sock.address, from: this.sock.get(this.#field.state), to: now })
    this.sock.set(this.#field.state, now)
  }

  protected own(pid: number): void {
    this.world.as(pid)
    this.sock.set(this.#field.owned, 1)
  }

  /** The current thread lets go of it. */
  protected release(): void {
    this.world.at('release_sock', { sk: this.sock.address })
    this.sock.set(this.#field.owned, 0)
  }

  /** A call that moves nothing, such as poll or getsockopt. */
  touch(pid: number): void {
    this.own(pid)
    this.release()
  }

  #leaves(): void {
    this.world.at('net_dev_queue', { skb: this.#packet.address })
  }

  /** The addresses, and a port of its own. */
  protected connectTo(family: Family, port: number, isAccepted: boolean): void {
    const { sock } = this
    const field = this.#field
    const v4 = (end: number) => Buffer.of(10, 0, port & 0xff, end)
    const v6 = (end: number) => family === 'mapped' ? Buffer.concat([mapped, v4(end)]) : Buffer.from([0x20, 1, 0xd, 0xb8, 0, 1, 0, 2, 0, 0, 0xff, 0xff, 0, port & 0xff, 9, end])
    const write = (member: Member, bytes: Uint8Array) => sock.bytes(member).set(bytes)
    sock.set(field.family, family === 'v4' ? inet : inet6)
    if (family !== 'v6') {
      write(field.saddr, v4(1))
      write(field.daddr, v4(2))
    }
    if (family !== 'v4') {
      write(field.saddr6!, v6(1))
      write(field.daddr6!, v6(2))
    }
    const peer = 8000 + port % 7
    const big = (number: number) => number >> 8 | (number & 0xff) << 8
    sock.set(field.dport, big(peer))
    sock.set(field.num, port)
    sock.set(field.backlog, isAccepted ? 128 : 0)
    this.#port = port
    this.family = family === 'v6' ? 6 : 4
    const shown = (end: number) => (family === 'v6' ? v6(end) : Buffer.concat([mapped, v4(end)])).toString('hex')
    this.name = `${this.network.get(field.netInum).toString(16)} ${port}`
    this.ends = `${shown(1)} ${shown(2)} ${peer} ${isAccepted ? port : peer} ${family === 'v6' ? ipv6 : ipv4}`
  }

  #hasPort(): void {
    this.sock.set(this.#field.sport, this.#port >> 8 | (this.#port & 0xff) << 8)
  }

  #begin({ pid, cookie, keepsPort = false }: Opening): void {
    const { sock } = this
    const field = this.#field
    this.opener = pid
    if (cookie !== undefined) sock.set(field.cookie, cookie)
    sock.set(field.userlocks, keepsPort ? portChosen << (field.userlocks.bitOffset ?? 0) : 0)
    for (const member of [field.bytesAcked, field.bytesReceived, field.flags, field.urgData]) sock.set(member, 0)
    this.#unread = 0
    this.#fin = { isReceived: false, isConsumed: false }
  }

  /** Sequence numbers that soon begin anew. */
  #late(): number {
    return 2 ** 32 - this.world.random.below(2 ** 22)
  }

  /** `connect`, up to where the SYN is sent, with the first bytes where it is fast; a blocking call waits then. */
  connect(opening: Opening = {}, bytes = 0): void {
    const { sock, world } = this
    const field = this.#field
    this.#begin(opening)
    this.own(opening.pid ?? world.pids[0])
    const isAgain = this.#port !== 0 && opening.keepsPort
    this.connectTo(opening.family ?? 'v4', isAgain ? this.#port : world.newPort(), false)
    if (!isAgain) this.#forget()
    this.become(state.synSent, opening.isUnseen)
    this.#hasPort()
    const first = this.#late()
    for (const member of [field.writeSeq, field.sndUna]) sock.set(member, first)
    for (const member of [field.rcvNxt, field.copiedSeq]) sock.set(member, 0)
    sock.add(field.writeSeq, 1 + bytes)
    if (opening.isUnseen) sock.set(field.owned, 0)
    else {
      this.#leaves()
      this.release()
    }
  }

  /** What is known of a connection that is over. */
  #forget(): void {
    this.user = undefined
    this.expected = undefined
  }

  /** The peer accepts it: the acknowledgement of the SYN, and of what was sent with it, comes. */
  establish({ isUnseen = false, bytes = 0 } = {}): void {
    const { sock, world } = this
    const field = this.#field
    world.interrupt()
    const theirs = this.#late()
    for (const member of [field.sndUna, field.bytesAcked]) sock.add(member, 1 + bytes)
    for (const member of [field.rcvNxt, field.copiedSeq]) sock.set(member, theirs)
    this.become(state.established, isUnseen)
  }

  /** A connection that a process opened. */
  open(opening: Opening = {}): this {
    this.connect(opening)
    this.establish(opening)
    return this
  }

  /** `sendto(MSG_FASTOPEN)`: the first bytes go with the SYN. */
  openFast(pid: number, bytes: number, opening: Opening = {}): this {
    this.connect({ ...opening, pid }, bytes)
    this.establish({ bytes })
    this.own(pid)
    this.#sent(bytes, () => this.world.moves(this, 'tx', bytes))
    return this
  }

  /** A connection that the peer opened: made by the kernel, nobody has it yet. With fast open a process may use it before it is established. */
  accept({ isUnseen = false, family = 'v4', cookie, pid }: Opening = {}, early: () => void = () => {}): this {
    const { sock, world } = this
    const field = this.#field
    this.#begin({ ...cookie === undefined ? {} : { cookie }, ...pid === undefined ? {} : { pid } })
    this.#forget()
    world.interrupt()
    sock.set(field.state, state.listen)
    this.become(state.synRecv, isUnseen)
    this.connectTo(family, world.newPort(), true)
    this.#hasPort()
    const [ours, theirs] = [this.#late(), this.#late()]
    for (const member of [field.sndUna, field.writeSeq]) sock.set(member, ours)
    for (const member of [field.rcvNxt, field.copiedSeq]) sock.set(member, theirs)
    early()
    world.interrupt()
    // It may have been shut down already.
    if (this.state === state.synRecv) this.become(state.established, isUnseen)
    return this
  }

  /** `TCP_REPAIR`: it is established without a SYN. */
  repair({ pid, ...opening }: Opening & { readonly pid: number }): this {
    const { sock, world } = this
    const field = this.#field
    this.#begin({ ...opening, pid })
    this.#forget()
    this.own(pid)
    this.connectTo(opening.family ?? 'v4', world.newPort(), false)
    this.become(state.synSent)
    this.#hasPort()
    const [ours, theirs] = [this.#late(), this.#late()]
    for (const member of [field.sndUna, field.writeSeq]) sock.set(member, ours)
    for (const member of [field.rcvNxt, field.copiedSeq]) sock.set(member, theirs)
    this.become(state.established)
    this.release()
    return this
  }

  /** Calls count when they return, elsewhere what is queued does. */
  get #byCall(): boolean {
    return this.world.plan.variant.calls
  }

  send(pid: number, bytes: number, { meanwhile, flags = 0, isCorked = false }: Sending = {}): void {
    const { world } = this
    const first = meanwhile === undefined ? bytes : 1 + world.random.below(bytes)
    const counts = (bytes: number) => world.moves(this, 'tx', bytes)
    this.own(pid)
    this.queue(first)
    if (meanwhile === undefined) return this.#sent(bytes, () => counts(bytes), flags, isCorked)
    if (!this.#byCall) counts(first)
    this.#leaves()
    this.sock.add(this.#field.writePending!, 1)
    this.release()
    meanwhile()
    this.own(pid)
    this.sock.add(this.#field.writePending!, -1)
    const rest = this.canSend ? bytes - first : 0
    this.queue(rest)
    this.#sent(first + rest, () => counts(this.#byCall ? first + rest : rest), flags)
  }

  /** Bytes are to be sent. */
  queue(bytes: number): void {
    this.sock.add(this.#field.writeSeq, bytes)
  }

  /** The kernel has sent pages: since Linux 6.5 by a flag, before by another function. */
  protected sentPages(bytes: number): void {
    const { sock, world } = this
    if (world.sees('do_tcp_sendpages')) return world.at('do_tcp_sendpages', { sk: sock.address, size: bytes, result: bytes })
    this.#message.set(this.#field.msgFlags!, flag.splicePages | flag.dontWait)
    world.at('tcp_sendmsg_locked', { sk: sock.address, msg: this.#message.address, size: bytes, result: bytes })
  }

  /** The end of a send. */
  #sent(bytes: number, counts: () => void, flags = 0, isCorked = false): void {
    const { sock, world } = this
    // Where packets count, what the kernel sends later is charged to whoever used the socket last.
    const isLate = isCorked && world.sees('net_dev_queue')
    if (!isLate) counts()
    if (this.#field.msgFlags !== undefined) this.#message.set(this.#field.msgFlags, flags)
    world.at('tcp_sendmsg_locked', { sk: sock.address, msg: this.#message.address, size: bytes, result: bytes })
    if (!isCorked) this.#leaves()
    this.release()
    world.at('sock_send_length', { sk: sock.address, ret: bytes, flags })
    if (isLate) counts()
    if (isCorked) this.flush()
  }

  /** The kernel sends a packet. */
  flush(): void {
    this.world.interrupt()
    this.#leaves()
  }

  /** Nothing was sent: -EAGAIN, -EPIPE. */
  sendInVain(pid: number): void {
    const { sock, world } = this
    this.own(pid)
    world.at('tcp_sendmsg_locked', { sk: sock.address, msg: this.#message.address, size: 9000, result: -11 })
    this.release()
    world.at('sock_send_length', { sk: sock.address, ret: -11, flags: 0 })
  }

  /** The peer has received a share of what is on its way. */
  acknowledge(share: number): void {
    const { sock } = this
    const field = this.#field
    if (!this.isOpen || this.state === state.synSent) return
    const flying = Number(BigInt.asUintN(32, sock.get(field.writeSeq) - sock.get(field.sndUna)))
    const bytes = Math.floor(flying * share)
    this.world.interrupt()
    sock.add(field.sndUna, bytes)
    sock.add(field.bytesAcked, bytes)
    if (share < 1) return
    if (this.state === state.finWait1) this.become(state.finWait2)
    else if (this.state === state.closing || this.state === state.lastAck) this.#over()
  }

  /** Bytes come. */
  arrive(bytes: number): void {
    const { sock } = this
    const field = this.#field
    for (const member of [field.rcvNxt, field.bytesReceived]) sock.add(member, bytes)
    this.#unread += bytes
  }

  /** The peer's FIN comes. */
  end(): void {
    const { sock } = this
    const field = this.#field
    if (this.#fin.isReceived) return
    this.#fin.isReceived = true
    this.world.interrupt()
    for (const member of [field.rcvNxt, field.bytesReceived]) sock.add(member, 1)
    sock.set(field.flags, sock.get(field.flags) | BigInt(done))
    if (this.state === state.established || this.state === state.synRecv) this.become(state.closeWait)
    else if (this.state === state.finWait1) this.become(state.closing)
    else if (this.state === state.finWait2) this.#over()
    this.flush()
  }

  /** Bytes leave the receive queue. */
  skip(bytes: number): void {
    this.sock.add(this.#field.copiedSeq, bytes)
    this.#unread -= bytes
  }

  #take(bytes: number): void {
    this.skip(bytes)
    this.world.moves(this, 'rx', bytes)
    this.world.at('tcp_rcv_space_adjust', { sk: this.sock.address })
  }

  /** A receive of bytes that are there, in one or two parts. */
  receive(pid: number, bytes: number): void {
    const first = this.world.random.below(bytes + 1)
    this.own(pid)
    for (const part of [first, bytes - first]) if (part > 0) this.#take(part)
    if (this.#unread === 0 && this.#fin.isReceived && !this.#fin.isConsumed) {
      this.#fin.isConsumed = true
      this.sock.add(this.#field.copiedSeq, 1)
    }
    this.#received(bytes)
  }

  #received(bytes: number, flags = 0): void {
    this.release()
    this.world.at('sock_recv_length', { sk: this.sock.address, ret: bytes, flags })
  }

  /** `MSG_PEEK`: it stays where it is. */
  peek(pid: number, bytes: number): void {
    this.own(pid)
    this.world.at('tcp_rcv_space_adjust', { sk: this.sock.address })
    this.#received(bytes, flag.peek)
  }

  /** `MSG_ERRQUEUE`: no data of the connection. */
  readErrors(pid: number, bytes: number): void {
    this.world.as(pid)
    this.world.at('sock_recv_length', { sk: this.sock.address, ret: bytes, flags: flag.errorQueue })
  }

  /** The kernel takes bytes itself, without a process, as a strparser does. */
  consume(bytes: number): void {
    this.world.interrupt()
    this.#take(bytes)
  }

  /** An urgent byte comes after all that is unread, and is the next that is read: with recv(MSG_OOB) `ahead` of the stream, or by nobody. */
  urgent(pid: number, ahead: boolean, after: number, { meanwhile = () => {}, passes = true }: Urgent = {}): void {
    const { sock, world } = this
    const field = this.#field
    this.arrive(1)
    sock.set(field.urgSeq, sock.get(field.rcvNxt) - 1n)
    sock.set(field.urgData, urgentValid | 7)
    this.arrive(after)
    if (ahead) {
      this.own(pid)
      sock.set(field.urgData, urgentRead)
      world.moves(this, 'rx', 1)
      this.#received(1, flag.urgent)
      meanwhile()
    }
    if (!passes) return
    // Up to the urgent byte, and on from there.
    const before = this.#unread - 1 - after
    if (before > 0) this.receive(pid, before)
    this.own(pid)
    this.skip(1)
    sock.set(field.urgData, 0)
    if (!ahead) world.moves(this, 'rx', 1)
    this.skip(after)
    world.moves(this, 'rx', after)
    world.at('tcp_rcv_space_adjust', { sk: sock.address })
    this.#received(after)
  }

  #sendFin(): void {
    this.become(this.state === state.closeWait ? state.lastAck : state.finWait1)
    this.sock.add(this.#field.writeSeq, 1)
    this.#leaves()
  }

  /** `shutdown(SHUT_WR)` */
  shutdown(pid: number): void {
    this.own(pid)
    if (this.canSend) this.#sendFin()
    this.release()
  }

  /** `tcp_done` */
  #over(isUnseen = false): void {
    this.become(state.close, isUnseen)
    if (this.isDead) this.#destroy()
  }

  get isDead(): boolean {
    return (this.sock.get(this.#field.flags) & BigInt(dead)) !== 0n
  }

  /** The peer resets it. */
  reset(): void {
    if (!this.isOpen) return
    this.world.interrupt()
    this.#over()
  }

  /** The socket's user moves bytes while programs are left out: nothing tells of that. */
  slip(direction: 'tx' | 'rx', bytes: number): void {
    const { world } = this
    if (direction === 'tx') this.queue(bytes)
    else {
      this.arrive(bytes)
      this.skip(bytes)
    }
    world.interrupt()
    world.moves(this, direction, bytes)
  }

  /** It is freed unseen, too, and another one is made at its address. */
  renew(): void {
    this.world.freed(this.sock)
    for (const member of [this.#field.cookie, this.#field.sport, this.#field.num]) this.sock.set(member, 0)
    this.#forget()
    this.#port = 0
  }

  /** It ends without a program that sees it. */
  endUnseen(): void {
    this.sock.set(this.#field.state, state.close)
  }

  /** `close`: with bytes unread it resets the connection. */
  close(pid: number): void {
    const { sock } = this
    this.own(pid)
    if (this.isOpen && (this.#unread > 0 || this.state === state.synSent)) this.become(state.close)
    else if (this.canSend) this.#sendFin()
    sock.set(this.#field.flags, sock.get(this.#field.flags) | BigInt(dead))
    if (!this.isOpen) this.#destroy()
    this.release()
  }

  /** `connect(AF_UNSPEC)` */
  disconnect(pid: number): void {
    const { sock } = this
    const field = this.#field
    this.own(pid)
    if (this.isOpen) this.become(state.close)
    for (const member of [field.bytesAcked, field.bytesReceived, field.urgData, field.dport]) sock.set(member, 0)
    // By the largest window of the peer, and two.
    sock.add(field.writeSeq, 65_538)
    sock.set(field.copiedSeq, sock.get(field.rcvNxt))
    sock.set(field.flags, 0)
    this.release()
  }

  /** The kernel frees it: what has its address next is another socket. */
  #destroy(): void {
    this.world.at('tcp_destroy_sock', { sk: this.sock.address })
    this.world.freed(this.sock)
  }

  /** The rest of its life, if it has not been closed yet. */
  finish(pid: number): void {
    if (!this.isDead) this.close(pid)
    if (!this.isOpen) return
    this.acknowledge(1)
    if (this.isOpen) this.reset()
  }

  /** Whoever had it has let go of it already. */
  free(): void {
    this.#destroy()
  }
}
