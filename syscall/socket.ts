import { constants } from 'node:os'
import { attrOf, type FieldValue } from './attr.js'
import { SyscallError } from './error.js'
import type { Descriptor, Descriptors } from './fd.js'
import type { Native, SocketCall } from './native.js'

/** An end of a connection: 4 or 16 bytes of address, and a port. */
export interface Address {
  readonly bytes: Uint8Array
  readonly port: number
}

/** A stream socket to open. */
export interface SocketSpec {
  readonly family: 4 | 6
  /** `IPPROTO_…`; TCP without. */
  readonly protocol?: number
  /** Its `connect` only begins, and its other calls throw EAGAIN instead of waiting. */
  readonly hasty?: boolean
}

/** A socket. Its calls wait, for some seconds, and throw SyscallError. */
export interface Socket extends Descriptor {
  bind(address: Address): void
  listen(backlog: number): void
  connect(address: Address): void
  accept(): Socket
  /** How many bytes the kernel took. */
  send(bytes: Uint8Array, flags?: number): number
  /** What is there, at most `size` bytes, with `MSG_WAITALL` all of them; nothing at the end of the stream. */
  receive(size: number, flags?: number): Uint8Array
  shutdown(what: 'reading' | 'writing' | 'both'): void
  localAddress(): Address
  /** A number is an `int`. */
  setOption(level: number, name: number, value: number | Uint8Array): void
  /** As many bytes as the kernel has of it, at most `size`. */
  option(level: number, name: number, size: number): Uint8Array
}

const { EINPROGRESS, EINTR } = constants.errno
/** Seconds after which a call that waits fails with EAGAIN. */
const patience = 10

/** include/linux/socket.h, net.h and include/uapi/asm-generic/socket.h */
const family = { 4: 2, 6: 10 } as const
const type = { stream: 1, nonBlock: 0o4000, closeOnExec: 0o2000000 } as const
const level = 1
const timeout = { receive: 20, send: 21 } as const
const noSignal = 0x4000
const ends = { reading: 0, writing: 1, both: 2 } as const

const word = (index: number): readonly [offset: number, size: number] => [8 * index, 8]
const words = { size: 48, fields: { a: word(0), b: word(1), c: word(2), d: word(3), e: word(4), f: word(5) } } as const

function call(native: Native, name: SocketCall, ...values: readonly (FieldValue | undefined)[]): number {
  const [a, b, c, d, e, f] = values
  for (;;) {
    const { bytes, pointers } = attrOf(words, { a, b, c, d, e, f })
    const result = native.socketCall(name, bytes, pointers)
    if (result >= 0) return result
    if (result !== -EINTR || name === 'connect') throw new SyscallError(name, -result)
  }
}

/** Opens a socket. Throws SyscallError. */
export function openSocket(descriptors: Descriptors, spec: SocketSpec): Socket {
  const flags = type.stream | type.closeOnExec | (spec.hasty ? type.nonBlock : 0)
  const socket = socketOf(descriptors, call(descriptors.native, 'socket', family[spec.family], flags, spec.protocol ?? 0), spec.hasty)
  const seconds = new Uint8Array(BigUint64Array.of(BigInt(patience), 0n).buffer)
  for (const name of Object.values(timeout)) socket.setOption(level, name, seconds)
  return socket
}

function socketOf(descriptors: Descriptors, descriptor: number, hasty = false): Socket {
  const { native } = descriptors
  const { fd, close } = descriptors.own(descriptor)
  return {
    fd, close,
    bind: address => void call(native, 'bind', fd, ...nameOf(address)),
    listen: backlog => void call(native, 'listen', fd, backlog),
    connect(address) {
      try {
        call(native, 'connect', fd, ...nameOf(address))
      } catch (error) {
        if (!(hasty && error instanceof SyscallError && error.errno === EINPROGRESS)) throw error
      }
    },
    accept: () => socketOf(descriptors, call(native, 'accept', fd, 0, 0, type.closeOnExec)),
    send: (bytes, flags = 0) => call(native, 'send', fd, bytes, bytes.length, flags | noSignal),
    receive(size, flags = 0) {
      const bytes = new Uint8Array(size)
      return bytes.subarray(0, call(native, 'receive', fd, bytes, size, flags))
    },
    shutdown: what => void call(native, 'shutdown', fd, ends[what]),
    localAddress() {
      const bytes = new Uint8Array(28)
      call(native, 'localAddress', fd, bytes, lengthOf(bytes.length))
      const view = new DataView(bytes.buffer)
      const isInet = view.getUint16(0, true) === family[4]
      return { bytes: isInet ? bytes.slice(4, 8) : bytes.slice(8, 24), port: view.getUint16(2) }
    },
    setOption(level, name, value) {
      const bytes = typeof value === 'number' ? new Uint8Array(Int32Array.of(value).buffer) : value
      call(native, 'setOption', fd, level, name, bytes, bytes.length)
    },
    option(level, name, size) {
      const bytes = new Uint8Array(size)
      const length = lengthOf(size)
      call(native, 'option', fd, level, name, bytes, length)
      return bytes.subarray(0, new DataView(length.buffer).getUint32(0, true))
    },
  }
}

/** A `socklen_t` that the kernel reads and writes. */
function lengthOf(length: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(length).buffer)
}

/** A `sockaddr_in` or `sockaddr_in6` and its length. */
function nameOf({ bytes, port }: Address): [Uint8Array, number] {
  const isInet = bytes.length === 4
  const name = new Uint8Array(isInet ? 16 : 28)
  const view = new DataView(name.buffer)
  view.setUint16(0, isInet ? family[4] : family[6], true)
  view.setUint16(2, port)
  name.set(bytes, isInet ? 4 : 8)
  return [name, name.length]
}
