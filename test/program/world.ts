import { interpret, MapModel, type Member, Memory, type Setting } from '../../bpf-asm/index.js'
import { Key, Stat, Value } from '../../src/layout.js'
import { type Field, fieldsOf, mapName } from '../../src/program/index.js'
import { Pocket } from '../../src/program/pocket.js'
import { firstArgument } from '../../src/trace/point.js'
import type { Possible } from '../fixture.js'
import type { Random } from '../random.js'

/** A structure of the kernel in the memory of programs; counters in it wrap. */
class Struct {
  readonly #memory: Memory
  readonly address: bigint

  /** Some lie at multiples of a cache line. */
  constructor(memory: Memory, name: string, lines = 0) {
    this.#memory = memory
    this.address = memory.place(name, new Uint8Array(8192 + 64 * lines)) + BigInt(64 * lines)
  }

  get({ offset, size }: Member): bigint {
    return this.#memory.read(this.address + BigInt(offset), size)
  }

  set({ offset, size }: Member, value: bigint | number): void {
    this.#memory.write(this.address + BigInt(offset), size, BigInt(value))
  }

  add(member: Member, bytes: number): void {
    this.set(member, this.get(member) + BigInt(bytes))
  }
}

/** What a process moved on a connection, and what it was called when it did that last. */
interface Moved {
  tx: bigint
  rx: bigint
  name: bigint
}

const [inet, tcp] = [2, 6]
const [established, synSent, closed] = [1, 2, 7]

/** The programs of a plan at work without a kernel: its counters move as tcp_sendmsg, tcp_ack and tcp_recvmsg move them. */
export class World {
  readonly pids = [100, 200, 300] as const
  readonly #field: Field
  readonly #memory = new Memory()
  readonly #maps: readonly MapModel[]
  readonly #tasks: ReadonlyMap<number, Struct>
  readonly #setting: Setting
  #time = 1_000_000_000n
  #current: Struct
  /** What another processor does while a program runs here. */
  #other: (() => void) | undefined

  constructor(private readonly one: Possible, private readonly random: Random) {
    const { btf, plan } = one
    const memory = this.#memory
    const field = this.#field = fieldsOf(btf)
    this.#maps = plan.maps.map(shape => new MapModel(shape))
    const [css, cgroup, node] = ['struct css_set', 'struct cgroup', 'struct kernfs_node'].map(name => new Struct(memory, name)) as [Struct, Struct, Struct]
    css.set(field.defaultCgroup!, cgroup.address)
    cgroup.set(field.cgroupNode!, node.address)
    this.#tasks = new Map(this.pids.map(pid => {
      const task = new Struct(memory, `struct task_struct ${pid}`)
      task.set(field.tgid, pid)
      task.set(field.leader, task.address)
      task.set(field.cgroups!, css.address)
      return [pid, task]
    }))
    this.#current = this.#tasks.get(this.pids[0])!
    const sockets = new Map<bigint, Struct>()
    this.#setting = {
      memory,
      maps: this.#maps,
      helpers: {
        skc_to_tcp_sock: (_, socket: bigint) => socket,
        get_socket_cookie: (_, socket: bigint) => memory.read(socket + BigInt(field.cookie.offset), 8),
        get_current_task: () => this.#current.address,
        get_current_task_btf: () => this.#current.address,
        get_current_pid_tgid: () => this.#current.get(field.tgid) << 32n,
        get_smp_processor_id: () => 0n,
        ktime_get_ns: () => this.#time += 1000n,
        probe_read_kernel: (_, to: bigint, size: bigint, from: bigint) => {
          memory.bytes(to, Number(size)).set(memory.bytes(from, Number(size)))
          return 0n
        },
        sk_storage_get: (_, _map: bigint, socket: bigint, _value: bigint, flags: bigint) => {
          if (flags === 1n && !sockets.has(socket)) sockets.set(socket, new Struct(memory, 'the storage of a socket'))
          return sockets.get(socket)?.address ?? 0n
        },
      },
      kfuncs: { bpf_rdonly_cast: (_, address: bigint, _type: bigint) => address },
    }
  }

  /** What is to be `counted`. */
  readonly moved: Record<string, Moved> = {}

  #moves(port: number, pid: number, direction: 'tx' | 'rx', bytes: number): void {
    const task = this.#current = this.#tasks.get(pid)!
    const moved = this.moved[`${port} ${pid}`] ??= { tx: 0n, rx: 0n, name: 0n }
    moved[direction] += BigInt(bytes)
    moved.name = task.get({ ...this.#field.comm, size: 8 })
  }

  #has(program: string): boolean {
    return this.one.plan.programs.some(({ name }) => name === program)
  }

  #happen(name: string, context: Uint8Array): void {
    const { assembly } = this.one.plan.programs.find(program => program.name === name)!
    // At a step that it may not come to: then it is done right after.
    const step = this.random.below(100)
    interpret(assembly, { ...this.#setting, context, meanwhile: steps => steps === step && this.#doOther() })
    this.#doOther()
  }

  #doOther(): void {
    const [other, current] = [this.#other, this.#current]
    this.#other = undefined
    other?.()
    this.#current = current
  }

  /** Does one thing, and another somewhere in the middle of its first program. Both on one socket cannot be, for that is locked. */
  atOnce(one: () => void, other: () => void): void {
    this.#other = other
    one()
    this.#doOther()
  }

  /** At a tracepoint or the return of a function. */
  #happenWith(name: string, ...args: readonly (bigint | number)[]): void {
    this.#happen(name, new Uint8Array(BigUint64Array.from(args, BigInt).buffer))
  }

  /** At a kprobe. */
  #happenAt(name: string, argument: bigint): void {
    const registers = new Uint8Array(256)
    new DataView(registers.buffer).setBigUint64(firstArgument(this.one.arch)!, argument, true)
    this.#happen(name, registers)
  }

  socket() {
    // By their addresses they have few pockets.
    const [field, msg, sock] = [this.#field, new Struct(this.#memory, 'struct msghdr'), new Struct(this.#memory, 'struct tcp_sock', this.random.below(4))]
    sock.set(field.family, inet)
    sock.set(field.protocol, tcp)
    sock.set(field.net, new Struct(this.#memory, 'struct net').address)
    const state = (now: number) => {
      this.#happenWith('tcptop_state', sock.address, sock.get(field.state), now)
      sock.set(field.state, now)
    }
    sock.set(field.state, closed)
    /** A process lets go of it. */
    const released = () => {
      sock.set(field.owned, 1)
      if (this.#has('tcptop_release')) this.#happenAt('tcptop_release', sock.address)
    }
    return {
      released,
      /** Asks for a connection from this port, as a socket of this cookie. */
      connect: (cookie: number, port: number) => {
        sock.set(field.cookie, cookie)
        for (const member of [field.bytesAcked, field.bytesReceived, field.sport]) sock.set(member, 0)
        sock.set(field.dport, 80)
        state(synSent)
        sock.set(field.sport, port)
      },
      /** The peer accepts it. */
      establish: () => {
        const { random } = this
        /** Soon to begin anew. */
        const late = () => 2 ** 32 - random.below(2 ** 22)
        const [ours, theirs] = [late(), late()]
        for (const member of [field.sndUna, field.writeSeq]) sock.set(member, ours)
        for (const member of [field.rcvNxt, field.copiedSeq]) sock.set(member, theirs)
        // The SYN, and the peer's acknowledgement of it.
        sock.add(field.writeSeq, 1)
        sock.add(field.sndUna, 1)
        sock.add(field.bytesAcked, 1)
        state(established)
      },
      send: (pid: number, bytes: number) => {
        this.#moves(Number(sock.get(field.sport)), pid, 'tx', bytes)
        sock.add(field.writeSeq, bytes)
        if (!this.#has('tcptop_tx')) return released()
        if (this.one.backend.name === 'fentry') this.#happenWith('tcptop_tx', sock.address, msg.address, bytes, bytes)
        else this.#happenWith('tcptop_tx', sock.address, bytes, 0)
      },
      acknowledge: (share: number) => {
        const flying = Number(BigInt.asUintN(32, sock.get(field.writeSeq) - sock.get(field.sndUna)))
        const bytes = Math.floor(flying * share)
        sock.add(field.sndUna, bytes)
        sock.add(field.bytesAcked, bytes)
      },
      receive: (pid: number, bytes: number) => {
        this.#moves(Number(sock.get(field.sport)), pid, 'rx', bytes)
        const waiting = this.random.below(2 ** 22)
        sock.add(field.rcvNxt, bytes + waiting)
        sock.add(field.bytesReceived, bytes + waiting)
        sock.add(field.copiedSeq, bytes)
        sock.set(field.owned, 1)
        if (this.#has('tcptop_rx')) this.#happenWith('tcptop_rx', sock.address)
        else released()
        // What is left in the queue is taken by nobody else.
        sock.add(field.rcvNxt, -waiting)
        sock.add(field.bytesReceived, -waiting)
      },
      /** The connection ends; when the programs are `left` out, unseen. */
      end: (left: boolean) => {
        if (left) sock.set(field.state, closed)
        else state(closed)
      },
      /** The socket goes. */
      destroy: () => {
        this.#happenWith('tcptop_destroy', sock.address)
        this.#happenWith('tcptop_destroy2', sock.address)
      },
    }
  }

  /** A process gets another name. */
  rename(pid: number): void {
    const task = this.#tasks.get(pid)!
    this.#happenWith('tcptop_rename', task.address, 0)
    task.set({ ...this.#field.comm, size: 8 }, this.random.below(1000))
    this.#time += 10_000_000n
  }

  /** As each drain does it before it reads: every page, and the end. */
  emptyPockets(): void {
    const [[, pockets]] = [...this.#map(mapName.pockets).entries()] as [[Uint8Array, Uint8Array]]
    const pages = [...this.#map(mapName.pages).entries()]
    const nothing = Buffer.alloc(pockets.length / pages.length)
    pages.forEach(([key, value], page) => {
      // For the interpreter is slow: nothing happens where nothing is.
      if (nothing.equals(pockets.subarray(page * nothing.length, (page + 1) * nothing.length))) return
      this.#happenWith('tcptop_pockets', 0, 0, this.#memory.place('a key', key), this.#memory.place('a value', value))
    })
    this.#happenWith('tcptop_pockets', 0, 0, 0, 0)
  }

  /** What the flow map has, by local port and process. */
  counted(): Record<string, Moved> {
    return Object.fromEntries([...this.#map(mapName.flows).entries()].flatMap(([key, value]) => {
      const [of, at] = [new DataView(key.buffer), new DataView(value.buffer)]
      const moved = { tx: at.getBigUint64(Value.tx, true), rx: at.getBigUint64(Value.rx, true), name: at.getBigUint64(Value.comm, true) }
      const pid = of.getUint32(Key.pid, true) || at.getUint32(Value.pid, true)
      return moved.tx + moved.rx === 0n ? [] : [[`${at.getUint16(Value.lport, true)} ${pid}`, moved]]
    }))
  }

  /** Pockets that are not free. */
  taken(): number {
    const [[, pockets]] = [...this.#map(mapName.pockets).entries()] as [[Uint8Array, Uint8Array]]
    const words = new BigUint64Array(pockets.buffer)
    return Array.from({ length: pockets.length / Pocket.size }, (_, place) => words[(place * Pocket.size + Pocket.identity) / 8]!).filter(identity => identity !== 0n).length
  }

  lost(): bigint {
    const [[, stats]] = [...this.#map(mapName.stats).entries()] as [[Uint8Array, Uint8Array]]
    return new DataView(stats.buffer).getBigUint64(Stat.lostEvents, true)
  }

  #map(name: string): MapModel {
    return this.#maps.find(({ shape }) => shape.name === name)!
  }
}

