import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'
import { readField, type Layout } from '../../syscall/attr.js'
import type { BpfCommand } from '../../syscall/call.js'
import { Descriptors } from '../../syscall/fd.js'
import { type Kernel, kernelThrough } from '../../syscall/kernel.js'
import type { Native, AttrPointer, SocketCall } from '../../syscall/native.js'
import { command } from '../../syscall/uapi.js'

/** A system call that was asked for. */
export interface Call {
  /** The command of bpf(), or the name of another system call. */
  readonly name: BpfCommand | 'perf_event_open' | 'ioctl' | 'read' | 'capset' | `socket_${SocketCall}`
  /** What was asked; while the call is answered, what is returned to the caller. */
  readonly attr: Uint8Array
  readonly pointers: readonly AttrPointer[]
  /** The other arguments of perf_event_open() and ioctl(). */
  readonly rest?: readonly number[]
}

/** What the kernel returns for a call; without a number it grants it. */
export type Answer = (call: Call) => number | void

const commands = Object.entries(command).map(([name, number]) => [number, name as BpfCommand] as const)
const names = new Map<number, BpfCommand>(commands.reverse())
const codes = new Map(Object.entries(constants.errno).reverse().map(([name, errno]) => [errno, name]))
/** What makes a descriptor. */
const creating: readonly Call['name'][] = [
  'MAP_CREATE', 'OBJ_GET', 'PROG_LOAD', 'BTF_LOAD', 'RAW_TRACEPOINT_OPEN', 'LINK_CREATE', 'ITER_CREATE', 'ENABLE_STATS',
  'perf_event_open', 'socket_socket', 'socket_accept',
]

/** A kernel that grants everything but what `answer` decides, and sees that every descriptor is closed once. */
export function fakeKernel(answer: Answer = () => {}) {
  const calls: Call[] = []
  /** Descriptors in the order in which they were made, and were closed. */
  const made: number[] = []
  const closed: number[] = []
  const ask = (call: Call): number => {
    // As the shim does.
    if (call.pointers.some(([, buffer, bytes]) => buffer.length < bytes)) return -constants.errno.EFAULT
    calls.push({ ...call, attr: call.attr.slice() })
    const result = answer(call)
    if (typeof result === 'number') return result
    return creating.includes(call.name) ? made.push(100 + made.length) && made.at(-1)! : 0
  }
  const native: Native = {
    bpf: (number, attr, pointers) => ask({ name: names.get(number)!, attr, pointers }),
    perfEventOpen: (attr, pid, cpu, group, flags, pointers) =>
      ask({ name: 'perf_event_open', attr, pointers, rest: [pid, cpu, group, flags] }),
    raiseMemlock: () => 0,
    endOn: () => 0,
    endIn: () => 0,
    restoreAtEnd: () => 0,
    relay: () => -38,
    setCapabilities: (attr, threads) => ask({ name: 'capset', attr, pointers: [], rest: threads }),
    perfEventIoctl: (...rest) => ask({ name: 'ioctl', attr: new Uint8Array(), pointers: [], rest }),
    contents: () => -constants.errno.ENODEV,
    socketCall: (name, attr, pointers) => ask({ name: `socket_${name}`, attr, pointers }),
    close: fd => {
      if (!made.includes(fd) || closed.includes(fd)) throw new Error(`descriptor ${fd} is not open`)
      closed.push(fd)
    },
    read: (_fd, buffer) => {
      const result = ask({ name: 'read', attr: buffer, pointers: [] })
      const code = codes.get(-result)
      if (result < 0) throw Object.assign(new Error(`${code}: read`), { code, errno: result, syscall: 'read' })
      return result
    },
  }
  return { native, calls, made, closed, descriptors: new Descriptors(native) }
}

/** Up from dist/test/kit/. */
const pmu = fileURLToPath(new URL('../../../test/fixture/kprobe-pmu', import.meta.url))

/** Opens a fake kernel as one of a release of our days, with a kprobe PMU, whatever the machine has that the tests run on. */
export function openFake(native: Native): Kernel {
  return kernelThrough(native, '6.18.0', { pmu, tracing: [] })
}

/** A number in a call's attribute. */
export function numberOf<Field extends string>({ attr }: Call, layout: Layout<Field>, field: Field): number {
  return readField(layout, attr, field)
}

/** The buffer whose address a field of a call's attribute holds. */
export function bufferOf<Field extends string>({ pointers }: Call, { fields }: Layout<Field>, field: Field) {
  return pointers.find(([offset]) => offset === fields[field][0])?.[1]
}

/** Sets a number of 4 bytes in a call's attribute, as the kernel does with what it returns there. */
export function putField<Field extends string>({ attr }: Call, { fields }: Layout<Field>, field: Field, value: number) {
  new DataView(attr.buffer, attr.byteOffset).setUint32(fields[field][0], value, true)
}
