import * as assert from 'uvu/assert'
import { interpret, MapModel, Memory, type Setting } from '../../bpf-asm/index.js'
import type { Plan } from '../../src/backend/plan.js'
import { Flag, Key, Name, Pid, Stat, Value } from '../../src/layout.js'
import { choosesProcesses, type KernelFields, fieldsOf, type Filter, mapName } from '../../src/program/index.js'
import { Slot } from '../../src/program/frame.js'
import { cText } from '../../src/trace/index.js'
import { firstArgument } from '../../src/trace/index.js'
import { noFilter, type Possible } from '../kit/fixture.js'
import type { Random } from '../kit/random.js'
import { Multipath, Redirected } from './multipath.js'
import { Socket } from './socket.js'
import { Struct } from './struct.js'

/** What a process moved on a connection, what it was called when it did that last, and what the row says of both. */
export interface Row {
  tx: bigint
  rx: bigint
  name: string
  cgroup: bigint
  readonly ends: string
}

/** When a process started: no two at once. */
export const startOf = (pid: number) => BigInt(pid) * 1_000_000_007n

/** A process, with its leader and one more thread. */
export interface Process {
  readonly pid: number
  /** What the tool's pid namespace calls it; undefined outside. */
  readonly inside: number | undefined
  readonly cgroup: bigint
  readonly mntns: bigint
  readonly leader: Struct
  readonly thread: Struct
  readonly isKernel: boolean
}

/** Names of which some differ only in their second half. */
const names = ['worker-1 alpha', 'worker-1 omega', 'worker-2 alpha', 'other']
/** `PF_KTHREAD` (include/linux/sched.h) */
const kernelThread = 0x00200000
/** The tool's pid namespace, where filters ask for it. */
export const pidNamespace = { dev: 4n, ino: 0xf000_0012n }
/** Ids that have their lower halves alone in a row; two network namespaces differ in the upper half of theirs. */
const firstCgroup = 0x1_0000_0100n
/** The cgroup that those of wanted processes are below. */
const wantedCgroup = 0x1_0000_0050n
export const networks = [0xf000_0098, 0xf001_0098] as const

/** What of a world is not as usual. */
export interface Choice {
  readonly filter?: Partial<Filter>
  /** Entries that the flow map has space for. */
  readonly capacity?: number
  /** Sockets that are there before the programs are are found by `attach`. */
  readonly isEarly?: boolean
}

/** The programs of a plan at work without a kernel: it knows the truth, which they have to find out from the same events. */
export class World {
  /** Filters of processes want the first two. */
  readonly pids = [100, 200, 300] as const
  readonly wanted = [100, 200] as const
  /** A kernel thread. */
  readonly daemon = 50
  readonly field: KernelFields
  readonly memory = new Memory()
  readonly plan: Plan
  readonly filter: Filter
  readonly #maps: readonly MapModel[]
  readonly #processes: ReadonlyMap<number, Process>
  readonly #networks: readonly Struct[]
  readonly #setting: Setting
  readonly #storages = new Map<bigint, Struct>()
  readonly #name = new Struct(this.memory, 'a name')
  /** Whether there may be no space for an entry. */
  readonly isFull: boolean
  #isAttached = false
  #time = 1_000_000_000n
  #cookies = 0
  #ports = 1
  /** The thread on the processor. */
  #current: Struct
  #process: Process
  /** What another processor does while a program runs here. */
  #other: { readonly point: string | undefined; readonly step: number; readonly act: () => void } | undefined
  #wasDuring = false

  /** What is to be `counted`. */
  readonly moved: Record<string, Row> = {}

  constructor(readonly one: Possible, readonly random: Random, { filter = {}, capacity, isEarly = false }: Choice = {}) {
    const { memory } = this
    this.isFull = capacity !== undefined
    this.plan = Object.keys(filter).length === 0 ? one.plan : one.planWith(filter)
    this.filter = { ...noFilter, ...filter }
    const field = this.field = fieldsOf(one.btf)
    this.#processes = new Map([...this.pids, this.daemon].map((pid, index) => [pid, this.#fork(pid, index)]))
    this.#process = this.#processes.get(this.pids[0])!
    this.#current = this.#process.leader
    this.#networks = networks.map(number => {
      const network = new Struct(memory, 'struct net')
      network.set(field.netInum, number)
      return network
    })
    const ids = (name: string, ids: readonly bigint[]) => {
      const map = new MapModel({ name, type: 'hash', keySize: 8, valueSize: 1, maxEntries: 16 })
      for (const id of ids) map.update(new Uint8Array(BigUint64Array.of(id).buffer), Uint8Array.of(1))
      return map
    }
    const wanted = this.wanted.map(pid => this.#processes.get(pid)!)
    this.#maps = [
      ...this.plan.maps.map(shape => new MapModel(shape.name === mapName.flows ? { ...shape, maxEntries: capacity ?? shape.maxEntries } : shape)),
      ...this.filter.cgroupIds ? [ids(mapName.cgroupIds, wanted.map(({ cgroup }) => cgroup))] : [],
      ...this.filter.mntnsIds ? [ids(mapName.mntnsIds, wanted.map(({ mntns }) => mntns))] : [],
    ]
    const current = (id: (process: Process) => bigint) => () => id(this.#process)
    this.#setting = {
      memory,
      maps: this.#maps,
      helpers: {
        skc_to_tcp_sock: (_, socket: bigint) => memory.read(socket + BigInt(field.protocol.offset), 2) === 6n ? socket : 0n,
        get_socket_cookie: (_, socket: bigint) => this.#cookieOf(socket),
        get_current_task: () => this.#current.address,
        get_current_task_btf: () => this.#current.address,
        get_current_pid_tgid: current(({ pid }) => BigInt(pid) << 32n | BigInt(pid + (this.#current === this.#process.leader ? 0 : 1))),
        get_current_cgroup_id: current(({ cgroup }) => cgroup),
        current_task_under_cgroup: current(process => wanted.includes(process) ? 1n : 0n),
        get_ns_current_pid_tgid: (_, dev: bigint, ino: bigint, to: bigint, size: bigint) => {
          const { inside } = this.#process
          if (dev !== pidNamespace.dev || ino !== pidNamespace.ino || inside === undefined || size !== 8n) return BigInt.asUintN(64, -22n)
          memory.write(to, 4, BigInt(inside + (this.#current === this.#process.leader ? 0 : 1)))
          memory.write(to + 4n, 4, BigInt(inside))
          return 0n
        },
        get_smp_processor_id: () => 0n,
        ktime_get_ns: () => this.#time += 1000n,
        probe_read_kernel: (_, to: bigint, size: bigint, from: bigint) => {
          memory.bytes(to, Number(size)).set(memory.bytes(from, Number(size)))
          return 0n
        },
        probe_read_kernel_str: (_, to: bigint, size: bigint, from: bigint) => this.#copyText(to, size, from),
        snprintf: (_, to: bigint, size: bigint, _format: bigint, data: bigint) => this.#copyText(to, size, memory.read(data, 8)),
        sock_from_file: (_, file: bigint) => memory.read(file + BigInt(field.filePrivate!.offset), 8),
        sk_storage_get: ({ map }, address: bigint, socket: bigint, value: bigint, flags: bigint) => {
          const known = this.#storages.get(socket)
          if (known !== undefined || flags !== 1n) return known?.address ?? 0n
          const storage = new Struct(memory, 'the storage of a socket')
          const size = map(address).shape.valueSize
          if (value !== 0n) storage.bytes({ offset: 0, size }).set(memory.bytes(value, size))
          this.#storages.set(socket, storage)
          return storage.address
        },
        sk_storage_delete: (_, _map: bigint, socket: bigint) => this.#storages.delete(socket) ? 0n : BigInt.asUintN(64, -2n),
      },
      kfuncs: { bpf_rdonly_cast: (_, address: bigint, _type: bigint) => address },
    }
    if (!isEarly) this.attach([])
  }

  #fork(pid: number, index: number): Process {
    const { field, memory } = this
    const struct = (name: string) => new Struct(memory, `struct ${name}`)
    const [css, proxy, namespace] = ['css_set', 'nsproxy', 'mnt_namespace'].map(struct) as Struct[]
    const [cgroup, mntns] = [firstCgroup + BigInt(index), 0xf000_0200n + BigInt(index)]
    const group = (id: bigint, above?: Struct) => {
      const [group, node] = [struct('cgroup'), struct('kernfs_node')]
      group.set(field.cgroupNode!, node.address)
      node.set(field.cgroupId!, id)
      if (above !== undefined) group.set(field.cgroupParent!, above.address)
      return group
    }
    const isWanted = index < this.wanted.length
    css!.set(field.defaultCgroup!, group(cgroup, isWanted ? group(wantedCgroup, group(1n)) : group(1n)).address)
    proxy!.set(field.mntNs, namespace!.address)
    namespace!.set(field.mntInum, mntns)
    const isKernel = pid === this.daemon
    const inside = isWanted ? index + 1 : undefined
    const [numbers, own] = [struct('pid'), struct('pid_namespace')]
    own.set(field.pidNamespaceInum!, inside === undefined ? 0xf000_0077n : BigInt.asUintN(32, pidNamespace.ino))
    // It has a number in the initial namespace too, and then one in its own.
    const upid = (level: number) => ({ offset: field.pidNumbers!.offset + 16 * level, size: 4 })
    numbers.set({ ...field.pidLevel!, size: 4 }, 1)
    numbers.set(upid(0), pid)
    numbers.set(upid(1), inside ?? 9)
    numbers.set({ offset: upid(1).offset + 8, size: 8 }, own.address)
    const leader = struct(`task_struct ${pid}`)
    const task = (name: string, to: Struct) => {
      to.set(field.tgid, pid)
      to.set(field.leader, leader.address)
      if (field.startTime !== undefined) to.set(field.startTime, startOf(pid))
      to.set(field.cgroups!, css!.address)
      to.set(field.nsproxy, proxy!.address)
      to.set(field.threadPid!, numbers.address)
      to.set(field.taskFlags, 0x40 | (isKernel ? kernelThread : 0))
      to.bytes(field.comm).set(Buffer.from(name))
      return to
    }
    task(`process ${pid}`, leader)
    const thread = task('thread', struct(`task_struct ${pid + 1}`))
    return { pid, inside, cgroup, mntns, leader, thread, isKernel }
  }

  #cookieOf(socket: bigint): bigint {
    const at = socket + BigInt(this.field.cookie.offset)
    const known = this.memory.read(at, 8)
    if (known !== 0n) return known
    const cookie = BigInt(++this.#cookies)
    this.memory.write(at, 8, cookie)
    return cookie
  }

  /** A connection's end here that is not connected yet. */
  socket(): Socket {
    return new Socket(this, this.random.pick(this.#networks))
  }

  /** An MPTCP socket. */
  multipath(): Multipath {
    return new Multipath(this, this.#networks[1]!)
  }

  /** A socket that is to be put into a sockmap. */
  redirected(): Redirected {
    return new Redirected(this, this.#networks[0]!)
  }

  /** One that no other connection has. */
  newPort(): number {
    return ++this.#ports
  }

  /** The kernel frees a socket, and what programs keep at it. */
  freed(socket: Struct): void {
    this.#storages.delete(socket.address)
  }

  /** Programs are attached. First of all they are shown what is there: files of processes, sockets of the network namespace. */
  attach(sockets: readonly Socket[]): void {
    this.#isAttached = true
    this.#tell(0n)
    for (const socket of sockets) {
      if (socket.opener === undefined) continue
      const { leader } = this.#processes.get(socket.opener)!
      this.#happenWith('task_file', [0, leader.address, 3, socket.file.address])
      this.#expects(socket, socket.opener)
    }
    this.#happenWith('task_file', [0, 0, 0, 0])
    for (const { sock } of sockets) this.#happenWith('tcp', [0, sock.address, 0])
    this.#happenWith('tcp', [0, 0, 0])
    if (this.plan.programs.some(({ hook }) => 'iterator' in hook)) {
      this.#tell(1n)
    }
  }

  /** What user space tells the programs: whether they have been shown all that was there, and the cgroup to stay in. */
  #tell(found: bigint): void {
    this.#map(mapName.known).update(new Uint8Array(4), new Uint8Array(BigUint64Array.of(found, wantedCgroup).buffer))
  }

  /** A thread of this process has the processor from here on. */
  as(pid: number): void {
    this.#process = this.#processes.get(pid)!
    this.#current = this.random.chance(0.5) ? this.#process.leader : this.#process.thread
  }

  /** The kernel works on its own, in the context of whatever thread was at work. */
  interrupt(): void {
    this.as(this.random.pick([...this.#processes.keys()]))
  }

  /** Whether something is attached at this place of the kernel. */
  sees(point: string): boolean {
    return this.plan.programs.some(({ hook }) => Object.values(hook).includes(point))
  }

  wants({ pid }: Process): boolean {
    return !choosesProcesses(this.filter) || (this.wanted as readonly number[]).includes(pid)
  }

  /** The current thread moves bytes if it has the socket, otherwise the kernel does. */
  moves(socket: Socket, direction: 'tx' | 'rx', bytes: number): void {
    if (!this.#isAttached || bytes === 0) return
    const process = this.#process
    const isProcess = socket.isOwned && !process.isKernel
    if (isProcess) socket.user = this.wants(process) ? process.pid : 'unwanted'
    const pid = socket.user ?? (choosesProcesses(this.filter) ? 'unwanted' : Pid.kernel)
    if (pid === 'unwanted' || ![undefined, socket.family].includes(this.filter.family)) return
    const charged = this.#processes.get(pid)
    const row = this.moved[`${socket.name} ${pid}`] ??= {
      tx: 0n, rx: 0n, name: socket.expected ?? '', cgroup: BigInt.asUintN(32, charged?.cgroup ?? 0n), ends: socket.ends,
    }
    row[direction] += BigInt(bytes)
    if (isProcess) row.name = this.#nameOf(process)
  }

  #nameOf({ leader }: Process): string {
    return textOf(leader.bytes(this.field.comm))
  }

  /** It is taken for the socket's user until another one moves bytes. */
  #expects(socket: Socket, pid: number): void {
    const process = this.#processes.get(pid)!
    if (!this.wants(process) || socket.user !== undefined) return
    socket.user = pid
    socket.expected = this.#nameOf(process)
  }

  /** What is attached at this place of the kernel runs: arguments are a tracepoint's in their order, a function's by their names. */
  at(point: string, args: Readonly<Record<string, bigint | number>>): void {
    if (!this.#isAttached) return
    this.#happenWith(point, Object.values(args), args)
  }

  #happenWith(point: string, args: readonly (bigint | number)[], named: Readonly<Record<string, bigint | number>> = {}): void {
    for (const { hook, assembly } of this.plan.programs) {
      if (!Object.values(hook).includes(point) || 'sweep' in hook) continue
      const values = 'exit' in hook
        ? [...this.one.btf.func(hook.exit)!.params.map(({ name }) => named[name] ?? 0), named.result ?? 0] : args
      this.#run(point, assembly, 'kprobe' in hook ? this.#registers(BigInt(args[0]!)) : contextOf(values))
    }
  }

  #registers(argument: bigint): Uint8Array {
    const registers = new Uint8Array(256)
    new DataView(registers.buffer).setBigUint64(firstArgument(this.one.arch)!, argument, true)
    return registers
  }

  #run(point: string, assembly: Plan['programs'][number]['assembly'], context: Uint8Array): void {
    const other = this.#other?.point === undefined || this.#other.point === point ? this.#other : undefined
    interpret(assembly, {
      ...this.#setting,
      context,
      meanwhile: steps => {
        if (steps !== other?.step || other !== this.#other) return
        this.#wasDuring = true
        this.#doOther()
      },
    })
    // At a step that it did not come to: then it is done right after.
    if (other !== undefined && other === this.#other) this.#doOther()
  }

  #doOther(): void {
    const [other, current, process] = [this.#other, this.#current, this.#process]
    this.#other = undefined
    other?.act()
    this.#current = current
    this.#process = process
  }

  /** Does one thing, and another somewhere in the middle of its first program. Both on one socket cannot be, for that is locked. */
  atOnce(one: () => void, other: () => void): void {
    this.during(undefined, this.random.below(100), one, other)
  }

  /** Does one thing, and another in the middle of its program at this place, after so many steps; or afterwards, when it has no more: false. */
  during(point: string | undefined, step: number, one: () => void, other: () => void): boolean {
    this.#other = { point, step, act: other }
    this.#wasDuring = false
    one()
    this.#doOther()
    return this.#wasDuring
  }

  /** A process gets another name, soon after that is told of: `meanwhile` it still has the old one. */
  rename(pid: number, meanwhile: () => void = () => {}, to: string = this.random.pick(names)): void {
    const { leader } = this.#processes.get(pid)!
    this.at('task_rename', { task: leader.address, comm: this.#placeName(to) })
    meanwhile()
    const name = leader.bytes(this.field.comm)
    name.fill(0)
    name.set(Buffer.from(to).subarray(0, name.length - 1))
    this.#time += 10_000_000n
  }

  /** A thread that does not lead its process gets a name. */
  renameThread(pid: number): void {
    this.at('task_rename', { task: this.#processes.get(pid)!.thread.address, comm: this.#placeName('thread') })
  }

  /** A string of the kernel's, in the place of the last one; something follows it. */
  #placeName(text: string): bigint {
    const bytes = Buffer.from(`${text}\0more`)
    this.memory.bytes(this.#name.address, bytes.length).set(bytes)
    return this.#name.address
  }

  /** Copies a string with its end, all of which has at most this size; how long it is. */
  #copyText(to: bigint, size: bigint, from: bigint): bigint {
    let length = 0
    while (length < Number(size) - 1 && this.memory.read(from + BigInt(length), 1) !== 0n) length++
    this.memory.bytes(to, length + 1).set([...this.memory.bytes(from, length), 0])
    return BigInt(length + 1)
  }

  /** What processes are called that were renamed, and when they started. */
  names(): Record<number, { name: string; start: bigint }> {
    return Object.fromEntries([...this.#map(mapName.names).entries()].map(([key, value]) => {
      const [of, at] = [new DataView(key.buffer), new DataView(value.buffer)]
      assert.equal(value.subarray(value.indexOf(0, Name.comm)), new Uint8Array(value.length - value.indexOf(0, Name.comm)), 'zeros follow')
      return [of.getUint32(0, true), { name: cText(at, Name.comm, 16), start: at.getBigUint64(Name.start, true) }]
    }))
  }

  /** When the processes started that flows with bytes are of. */
  starts(): Record<number, bigint> {
    return Object.fromEntries([...this.#map(mapName.flows).entries()].flatMap(([, value]) => {
      const at = new DataView(value.buffer)
      const moved = at.getBigUint64(Value.tx, true) + at.getBigUint64(Value.rx, true)
      return moved === 0n ? [] : [[at.getUint32(Value.pid, true), at.getBigUint64(Value.start, true)]]
    }))
  }

  /** When the connections were established and when they ended, in the order in which they were established. */
  lives(): { opened: bigint; ended: bigint }[] {
    return this.#flows().filter(({ key }) => key.getUint32(Key.pid, true) === 0)
      .map(({ value }) => ({ opened: value.getBigUint64(Value.opened, true), ended: value.getBigUint64(Value.ended, true) }))
      .sort((one, other) => Number(one.opened - other.opened))
  }

  /** Nothing happens for so many nanoseconds. */
  wait(nanoseconds: bigint): void {
    this.#time += nanoseconds
  }

  /** What user space has programs do before it reads the map. */
  drain(): void {
    this.flush()
    for (const map of [mapName.unsettled, mapName.flows]) this.#sweepAll(map)
  }

  /** The part of it that slots need. */
  flush(): void {
    this.#sweepAll(mapName.pages)
  }

  /** Programs are shown every entry of a map, and the end. */
  #sweepAll(map: string): void {
    for (const { hook, assembly } of this.plan.programs) if ('sweep' in hook && hook.map === map) this.#sweep(hook.sweep, map, assembly)
  }

  #sweep(point: string, map: string, assembly: Plan['programs'][number]['assembly']): void {
    const show = (key: bigint, value: bigint) => this.#run(point, assembly, contextOf([0, 0, key, value]))
    // The interpreter is slow: a page without slots in use is not shown.
    const shown = map === mapName.pages ? this.#usedPages() : undefined
    for (const [number, [key, value]] of [...this.#map(map).entries()].entries()) {
      if (shown?.has(number) ?? true) show(this.memory.place('a key', key), this.memory.place('a value', value))
    }
    show(0n, 0n)
  }

  #usedPages(): ReadonlySet<number> {
    const slots = this.#onlyValue(mapName.slots)
    const words = new Uint32Array(slots.buffer)
    const length = words.length / this.#map(mapName.pages).size
    const pages = new Set<number>()
    for (let word = 0; word < words.length; word++) if (words[word] !== 0) pages.add(Math.floor(word / length))
    return pages
  }

  #map(name: string): MapModel {
    return this.#maps.find(({ shape }) => shape.name === name)!
  }

  #onlyValue(name: string): Buffer {
    const [[, value] = []] = this.#map(name).entries()
    return Buffer.from(value!.buffer)
  }

  #flows(): { readonly key: DataView; readonly value: DataView }[] {
    return [...this.#map(mapName.flows).entries()].map(([key, value]) => ({ key: new DataView(key.buffer), value: new DataView(value.buffer) }))
  }

  /** What the flow map has, by connection and process. */
  counted(): Record<string, Row> {
    const rows: Record<string, Row> = {}
    for (const { key, value } of this.#flows()) {
      const [tx, rx] = [value.getBigUint64(Value.tx, true), value.getBigUint64(Value.rx, true)]
      if (tx + rx === 0n) continue
      const address = (from: number) => Buffer.from(value.buffer, from, 16).toString('hex')
      const [lport, rport, service] = [value.getUint16(Value.lport), value.getUint16(Value.rport), value.getUint16(Value.service)]
      const pid = key.getUint32(Key.pid, true) || value.getUint32(Value.pid, true)
      const row: Row = {
        tx, rx, name: textOf(new Uint8Array(value.buffer, Value.comm, 16)), cgroup: BigInt(value.getUint32(Value.cgroup, true)),
        ends: `${address(Value.laddr)} ${address(Value.raddr)} ${rport} ${service} IPv${value.getUint16(Value.family, true)}`,
      }
      const name = `${value.getUint32(Value.netns, true).toString(16)} ${lport} ${pid}`
      // A socket that connects once more may have another entry.
      const before = rows[name] ?? { tx: 0n, rx: 0n }
      rows[name] = { ...row, tx: tx + before.tx, rx: rx + before.rx }
    }
    return rows
  }

  /** Entries that a drain may delete: of sockets, not of further processes. */
  over(): number {
    return this.#flows().filter(({ key, value }) => key.getUint32(Key.pid, true) === 0 && value.getUint32(Value.flags, true) & Flag.gone).length
  }

  /** Entries that there are, and of these a socket's own. */
  entries(): { readonly all: number; readonly own: number } {
    const flows = this.#flows()
    return { all: flows.length, own: flows.filter(({ key }) => key.getUint32(Key.pid, true) === 0).length }
  }

  /** What processes are called in the tool's pid namespace. */
  inside(): Record<number, number> {
    const number = (bytes: Uint8Array) => new DataView(bytes.buffer).getUint32(0, true)
    return Object.fromEntries([...this.#map(mapName.pids).entries()].map(([key, value]) => [number(key), number(value)]))
  }

  /** Slots that are not free. */
  taken(): number {
    const slots = this.#onlyValue(mapName.slots)
    const view = new DataView(slots.buffer)
    return Array.from({ length: slots.length / Slot.size }, (_, place) => Slot.decode(view, place * Slot.size)).filter(({ identity }) => identity !== 0n).length
  }

  stats(): { readonly lost: { readonly events: bigint; readonly tx: bigint; readonly rx: bigint }; readonly entered: number; readonly gone: number } {
    const stats = this.#onlyValue(mapName.stats)
    const at = (offset: number) => stats.readBigUint64LE(offset)
    return { lost: { events: at(Stat.lostEvents), tx: at(Stat.lostTx), rx: at(Stat.lostRx) }, entered: Number(at(Stat.entered)), gone: Number(at(Stat.gone)) }
  }
}

function contextOf(values: readonly (bigint | number)[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values, BigInt).buffer)
}

/** A name up to its end. */
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1').replace(/\0+$/, '')
