import type { KernelFields } from '../../src/program/index.js'
import { flag, mptcp, type Sending, Socket, state } from './socket.js'
import { Struct } from './struct.js'
import type { World } from './world.js'

/** An MPTCP socket: what its calls return is what a process moves; its subflows are TCP sockets of the kernel's. */
export class Multipath extends Socket {
  readonly subflow: Socket
  readonly #field: KernelFields

  constructor(world: World, network: Struct) {
    super(world, network)
    this.#field = world.field
    this.sock.set(this.#field.protocol, mptcp)
    this.subflow = new Socket(world, network)
    const { subflow } = this.#field
    if (subflow !== undefined) this.subflow.sock.set(subflow, 1 << (subflow.bitOffset ?? 0))
  }

  override open(): this {
    this.subflow.open()
    this.connectTo('v4', this.world.newPort(), false)
    this.sock.set(this.#field.state, state.established)
    return this
  }

  override send(pid: number, bytes: number, { flags = 0 }: Sending = {}): void {
    const { sock, subflow, world } = this
    this.own(pid)
    world.moves(this, 'tx', bytes)
    world.at('mptcp_sendmsg', { sk: sock.address, len: bytes, result: bytes })
    this.release()
    world.at('sock_send_length', { sk: sock.address, ret: bytes, flags })
    subflow.queue(bytes)
  }

  override receive(pid: number, bytes: number): void {
    this.subflow.arrive(bytes)
    this.subflow.skip(bytes)
    this.world.as(pid)
    this.own(pid)
    this.world.moves(this, 'rx', bytes)
    this.#returns(bytes, 0)
  }

  override peek(pid: number, bytes: number): void {
    this.own(pid)
    this.#returns(bytes, flag.peek)
  }

  override readErrors(pid: number, bytes: number): void {
    this.own(pid)
    this.#returns(bytes, flag.errorQueue)
  }

  #returns(bytes: number, flags: number): void {
    this.world.at('mptcp_recvmsg', { sk: this.sock.address, len: bytes, flags, result: bytes })
    this.release()
    this.world.at('sock_recv_length', { sk: this.sock.address, ret: bytes, flags })
  }

  /** It tells of nothing else that it does. */
  override close(pid: number): void {
    this.world.as(pid)
    this.become(state.close)
    this.subflow.close(pid)
    this.subflow.finish(pid)
  }
}

/** A socket in a sockmap: a BPF program decides what becomes of its bytes, and calls alone tell what a process moved. */
export class Redirected extends Socket {
  readonly #field: KernelFields

  constructor(world: World, network: Struct) {
    super(world, network)
    this.#field = world.field
  }

  /** A BPF program puts it into the map: `SK_USER_DATA_PSOCK`. */
  redirect(): void {
    this.sock.set(this.#field.userData!, 0xff00_1000_0000_0004n)
  }

  /** A process gives bytes to the map. */
  give(pid: number, bytes: number): void {
    const { sock, world } = this
    this.own(pid)
    world.moves(this, 'tx', bytes)
    world.at('tcp_bpf_sendmsg', { sk: sock.address, size: bytes, result: bytes })
    this.release()
    world.at('sock_send_length', { sk: sock.address, ret: bytes, flags: 0 })
  }

  /** The kernel sends on through this socket what was given elsewhere: pages, which the call that gave them is charged for. */
  pass(bytes: number): void {
    const { world } = this
    world.as(world.daemon)
    this.sock.set(this.#field.owned, 1)
    this.queue(bytes)
    this.sentPages(bytes)
    this.release()
  }

  /** A process takes bytes out of the map that the kernel has taken from this socket's queue. */
  get(pid: number, bytes: number, flags = 0): void {
    const { sock, world } = this
    if (flags === 0) {
      this.arrive(bytes)
      this.skip(bytes)
      world.interrupt()
      world.at('tcp_rcv_space_adjust', { sk: sock.address })
    }
    this.own(pid)
    if (flags === 0) world.moves(this, 'rx', bytes)
    world.at('tcp_bpf_recvmsg', { sk: sock.address, len: bytes, flags, result: bytes })
    this.release()
    world.at('sock_recv_length', { sk: sock.address, ret: bytes, flags })
  }
}
