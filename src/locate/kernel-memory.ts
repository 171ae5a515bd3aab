import {
  add, assemble, call, type Code, encode, exit, ja, jeq, jge, jne, label, load, loadMap, loadMapValue, mov, note, r0, r1,
  r10, r2, r3, r6, r7, r8, r9, type Register, store,
} from '../../bpf-asm/index.js'
import type { BpfMap, Kernel } from '../../syscall/index.js'
import { Scope } from '../trace/index.js'

/** Bytes of the kernel's memory. */
export interface Block {
  readonly address: bigint
  readonly size: number
}

/** A moment at which memory is read: when the socket changes its state for the first time in `during`, whose lock is then held. */
export interface Moment {
  readonly socket: bigint
  during(): void
}

/** The kernel's memory, read by programs on tracepoints, which need no BTF. */
export interface KernelMemory {
  /** The address of the socket that starts to connect or to listen in `act`. */
  socketOf(act: () => void): bigint
  /** The task whose name `act` sets: its address, and our own process as the kernel numbers it, whatever its namespace does. */
  taskOf(act: () => void): { readonly address: bigint; readonly tgid: number }
  /** The first packet, a `struct sk_buff`, that our thread sends in `act`. */
  packetOf(act: () => void): Uint8Array
  /** All blocks as they are at one moment; a block ends early before memory that cannot be read. */
  read(blocks: readonly Block[], moment?: Moment): Uint8Array[]
  close(): void
}

/** Where things lie in the one value of the control map. */
const Control = { name: 0, socket: 8, task: 16, pidTgid: 24, trigger: 32, count: 40, sends: 48, size: 56 } as const
/** A piece of memory to read, an entry of the map of pieces: address, what the helper returned, and the bytes. */
const Piece = { address: 0, result: 8, bytes: 16, size: 512 } as const
const pieceSize = Piece.bytes + Piece.size
/** How many pieces are read at one moment. Before 5.11 they count against RLIMIT_MEMLOCK, which is small. */
export const most = 16

/** include/net/tcp_states.h */
const state = { synSent: 2, listen: 10 } as const

/**
 * Starts to watch the threads whose names begin with `name`, 8 bytes, and the sockets that they open. `turn` makes a socket of ours, the
 * `clock`, change its state.
 */
export function openKernelMemory(kernel: Kernel, name: string, clock: { turn(): void }): KernelMemory {
  const scope = new Scope()
  try {
    const control = scope.own(kernel.createMap({ name: 'control', type: 'array', keySize: 4, valueSize: Control.size, maxEntries: 1 }))
    const pieces = scope.own(kernel.createMap({ name: 'pieces', type: 'array', keySize: 4, valueSize: pieceSize, maxEntries: most }))
    const watch = (program: string, tracepoint: string, code: Code) => {
      const assembly = assemble(code)
      const insns = encode(assembly, { control: control.fd, pieces: pieces.fd })
      const loaded = scope.own(kernel.loadProgram({ name: program, type: 'raw_tracepoint', insns, notes: assembly.notes, license: 'GPL' }))
      scope.own(kernel.attachRawTracepoint(loaded, tracepoint))
    }
    watch('measure_task', 'task_rename', renamed())
    watch('measure_packet', 'net_dev_queue', queued())
    watch('measure_socket', 'inet_sock_set_state', stateSet())
    return { ...memoryOf(control, pieces, name, clock), close: () => scope.close() }
  } catch (error) {
    scope.close()
    throw error
  }
}

/** `trace_task_rename(task, name)`: takes note of a task that gets one of our names. */
function renamed(): Code {
  return [
    load(r6, 'u64', r1, 0),
    load(r3, 'u64', r1, 8),
    ifOurs('probe_read', 'exit'),
    store('u64', r8, Control.task, r6),
    call('get_current_pid_tgid'),
    store('u64', r8, Control.pidTgid, r0),
    label('exit'),
    leave(),
  ]
}

/** `trace_inet_sock_set_state(sk, old, new)`: takes note of a socket that our thread opens, and reads memory when its moment has come. */
function stateSet(): Code {
  return [
    load(r6, 'u64', r1, 0),
    load(r7, 'u32', r1, 16),
    jeq(r7, state.synSent, 'opens'),
    jne(r7, state.listen, 'moment'),
    label('opens'),
    ifOurs('get_current_comm', 'moment'),
    load(r1, 'u64', r8, Control.socket),
    note('of an MPTCP socket and its subflow, the first', jne(r1, 0, 'moment')),
    store('u64', r8, Control.socket, r6),
    label('moment'),
    loadMapValue(r8, 'control', 0),
    load(r1, 'u64', r8, Control.trigger),
    jne(r1, r6, 'exit'),
    load(r7, 'u64', r8, Control.count),
    jeq(r7, 0, 'exit'),
    note('only once', store('u64', r8, Control.count, 0)),
    mov(r9, 0),
    label('next'),
    jge(r9, r7, 'exit'),
    note('the verifier wants to see an end', jge(r9, most, 'exit')),
    pieceAt(r9, 'exit'),
    mov(r6, r0),
    load(r3, 'u64', r6, Piece.address),
    readPiece(),
    add(r9, 1),
    ja('next'),
    label('exit'),
    leave(),
  ]
}

/** `trace_net_dev_queue(skb)`: takes the first packet that our thread sends when it is about to. */
function queued(): Code {
  return [
    load(r7, 'u64', r1, 0),
    loadMapValue(r8, 'control', 0),
    load(r1, 'u64', r8, Control.sends),
    jeq(r1, 0, 'exit'),
    ifOurs('get_current_comm', 'exit'),
    store('u64', r8, Control.sends, 0),
    pieceAt(0, 'exit'),
    mov(r6, r0),
    mov(r3, r7),
    readPiece(),
    label('exit'),
    leave(),
  ]
}

/** `r0 = &pieces[index]` */
function pieceAt(index: Register | 0, otherwise: string): Code {
  return [store('u32', r10, -4, index), mov(r2, r10), add(r2, -4), loadMap(r1, 'pieces'), call('map_lookup_elem'), jeq(r0, 0, otherwise)]
}

/** Reads what lies at r3 into the piece at r6. */
function readPiece(): Code {
  return [mov(r1, r6), add(r1, Piece.bytes), mov(r2, Piece.size), call('probe_read'), store('u64', r6, Piece.result, r0)]
}

/**
 * `r8 = &control`, and on if the name at r3, or that of the current task, is one of ours. `probe_read`, not its successors for user and
 * kernel space: it is there on every kernel of the machines that we know.
 */
function ifOurs(helper: 'probe_read' | 'get_current_comm', otherwise: string): Code {
  return [
    store('u64', r10, -8, 0),
    store('u64', r10, -16, 0),
    mov(r1, r10),
    add(r1, -16),
    mov(r2, helper === 'probe_read' ? 8 : 16),
    call(helper),
    loadMapValue(r8, 'control', 0),
    load(r1, 'u64', r10, -16),
    load(r2, 'u64', r8, Control.name),
    jne(r1, r2, otherwise),
  ]
}

function leave(): Code {
  return [mov(r0, 0), exit()]
}

function memoryOf(control: BpfMap, pieces: BpfMap, name: string, clock: { turn(): void }): Omit<KernelMemory, 'close'> {
  const first = new Uint8Array(4)
  const set = (values: Readonly<Partial<Record<keyof typeof Control, bigint>>> = {}) => {
    const bytes = new Uint8Array(Control.size)
    bytes.set(new TextEncoder().encode(name).subarray(0, 8), Control.name)
    const view = new DataView(bytes.buffer)
    for (const [field, value] of Object.entries(values)) view.setBigUint64(Control[field as keyof typeof Control], value, true)
    control.update(first, bytes)
  }
  const get = (field: keyof typeof Control) => wordAt(control.lookup(first)!, Control[field])
  const noted = (field: 'socket' | 'task', act: () => void) => {
    set()
    act()
    const address = get(field)
    if (address === 0n) throw new Error(`no tracepoint reported our ${field}`)
    return address
  }
  const readPieces = (addresses: readonly bigint[], { socket, during }: Moment) => {
    addresses.forEach((address, index) => {
      const piece = new Uint8Array(pieceSize)
      new DataView(piece.buffer).setBigUint64(Piece.address, address, true)
      pieces.update(keyOf(index), piece)
    })
    set({ trigger: socket, count: BigInt(addresses.length) })
    during()
    if (get('count') !== 0n) throw new Error('no tracepoint reported our socket’s new state')
    return addresses.map((_, index) => {
      const piece = pieces.lookup(keyOf(index))!
      return wordAt(piece, Piece.result) === 0n ? piece.slice(Piece.bytes) : undefined
    })
  }
  const socketOf = (act: () => void) => noted('socket', act)
  let clockSocket: bigint | undefined
  return {
    socketOf,
    taskOf(act) {
      const address = noted('task', act)
      return { address, tgid: Number(get('pidTgid') >> 32n) }
    },
    packetOf(act) {
      set({ sends: 1n })
      act()
      const piece = pieces.lookup(keyOf(0))!
      if (get('sends') !== 0n || wordAt(piece, Piece.result) !== 0n) throw new Error('no tracepoint reported our packet')
      return piece.subarray(Piece.bytes)
    },
    read(blocks, moment) {
      clockSocket ??= socketOf(() => clock.turn())
      const when = moment ?? { socket: clockSocket, during: () => clock.turn() }
      const addresses = blocks.flatMap(({ address, size }) =>
        Array.from({ length: Math.ceil(size / Piece.size) }, (_, index) => address + BigInt(index * Piece.size)))
      const bytes = addresses.length <= most ? readPieces(addresses, when) : undefined
      if (bytes === undefined) throw new RangeError(`${addresses.length} pieces cannot be read at one moment, only ${most}`)
      return blocks.map(({ size }) => {
        const own = bytes.splice(0, Math.ceil(size / Piece.size))
        const end = own.indexOf(undefined)
        return Buffer.concat(own.slice(0, end < 0 ? undefined : end) as Uint8Array[]).subarray(0, size)
      })
    },
  }
}

function keyOf(index: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(index).buffer)
}

function wordAt(bytes: Uint8Array, offset: number): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(offset, true)
}
