import { readlinkSync } from 'node:fs'
import { type Kernel, type Socket, SyscallError, UnsupportedError } from '../../syscall/index.js'
import type { KernelFields } from '../program/index.js'
import { type KernelMemory, most, openKernelMemory } from './kernel-memory.js'
import { endOfTask, type KnownTask, numbersIn, onlyOne, pinPacket, pinSocket, pinTask, pointersOf, type Snapshot, type SocketSnapshot } from './pin.js'
import { lookAtSockets } from './scene.js'
import { lookAtTasks, renaming } from './task.js'

export { UnpinnedError } from './pin.js'

/** Bytes of a structure behind a pointer that are searched: up to `ns.inum` of `struct net`, of `struct mnt_namespace`; all of `struct nsproxy`. */
const size = { namespace: 512, nsproxy: 128 } as const

/**
 * Finds out by measurement where this kernel keeps the fields, without BTF: opens connections over the loopback interface, moves known
 * amounts, and looks where in the sockets' memory the numbers are. For that time three threads of this process have other names.
 * `subflow` is not among them: many bits are set in all subflows of MPTCP and in no other socket.
 * Blocks for some hundred milliseconds. Throws UnpinnedError; SyscallError or VerifierError where programs are refused; UnsupportedError
 * where the loopback interface does not work, or threads cannot be renamed.
 */
export function measureFields(kernel: Kernel): KernelFields {
  try {
    return measure(kernel)
  } catch (error) {
    if (error instanceof Error && 'path' in error && `${error.path}`.startsWith('/proc/')) {
      const need = 'a /proc that can be written, or the kernel’s BTF in /sys/kernel/btf/vmlinux, or --btf FILE'
      throw new UnsupportedError(`finding fields without BTF (${error.message})`, need, { cause: error })
    }
    if (!(error instanceof SyscallError) || error.syscall.startsWith('bpf')) throw error
    const need = error.code === 'ENOSYS' ? 'calls on sockets, which a seccomp filter hides' : 'a loopback interface that is up'
    throw new UnsupportedError(`finding fields without BTF (${error.message})`, need, { cause: error })
  }
}

function measure(kernel: Kernel): KernelFields {
  const marker = Array.from({ length: 8 }, () => String.fromCharCode(0x61 + random(26))).join('')
  const clock = openClock(kernel)
  try {
    const memory = openKernelMemory(kernel, marker, clock)
    try {
      return renaming(marker, threads => {
        const { sockets, packets } = lookAtSockets(kernel, memory, random)
        const tasks = lookAtTasks(memory, threads)
        const socket = pinSocket(sockets)
        const task = pinTask(tasks)
        const net = pinNet(memory, sockets, socket.sport.offset)
        const mount = pinMount(memory, tasks, net.address, endOfTask(task.comm))
        return { ...socket, ...pinPacket(packets), ...task, net: net.net, netInum: net.netInum, ...mount }
      })
    } finally {
      memory.close()
    }
  } finally {
    clock.close()
  }
}

function random(end: number): number {
  return Math.floor(Math.random() * end)
}

/** A socket that changes its state on request. */
function openClock(kernel: Kernel) {
  const socket: Socket = kernel.openSocket({ family: 4 })
  let listening = false
  const turn = () => {
    if (listening) socket.shutdown('both')
    else socket.listen(1)
    listening = !listening
  }
  try {
    socket.bind({ bytes: Uint8Array.of(127, 0, 0, 1), port: 0 })
    return { turn, close: socket.close }
  } catch (error) {
    socket.close()
    throw error
  }
}

/** The pointer, the same in all sockets, to what has our network namespace's number in it. */
function pinNet(memory: KernelMemory, snapshots: readonly SocketSnapshot[], end: number) {
  const inode = inodeOf('net')
  const common = commonPointers(snapshots.map(({ bytes }) => bytes.subarray(0, end)))
  const { offset, address, inner } = onlyOne('skc_net', follow(memory, common, size.namespace).flatMap(({ offset, address, bytes }) =>
    numbersIn(bytes, inode).map(inner => ({ offset, address, inner }))))
  return { address, net: { offset, size: 8 }, netInum: { offset: inner, size: 4 } }
}

/**
 * The pointer, the same in all threads, to what looks like a `struct nsproxy`: a count, and from there on pointers, one of them to our
 * network namespace; and of these the one to what has our mount namespace's number in it.
 */
function pinMount(memory: KernelMemory, snapshots: readonly Snapshot<KnownTask>[], net: bigint, end: number) {
  const looksRight = ({ bytes }: { readonly bytes: Uint8Array }) => {
    const pointers = pointersOf(bytes)
    const last = pointers.findIndex(({ address }) => address === net)
    return last > 0 && pointers[last]!.offset === 8 * (last + 1) && pointers[0]!.offset === 8
  }
  const common = commonPointers(snapshots.map(({ bytes }) => bytes.subarray(0, end)))
  const nsproxy = onlyOne('nsproxy', follow(memory, common, size.nsproxy).filter(looksRight))
  const inode = inodeOf('mnt')
  const pointers = pointersOf(nsproxy.bytes)
  // The network namespace is one of the last; what lies behind may be another `struct nsproxy` with the same mount namespace.
  const before = pointers.slice(0, pointers.findIndex(({ address }) => address === net))
  const { offset, inner } = onlyOne('mnt_ns', follow(memory, before, size.namespace).flatMap(({ offset, bytes }) =>
    numbersIn(bytes, inode).map(inner => ({ offset, inner }))))
  return { nsproxy: { offset: nsproxy.offset, size: 8 }, mntNs: { offset, size: 8 }, mntInum: { offset: inner, size: 4 } }
}

/** Pointers that are the same in all of several structures. */
function commonPointers([first, ...others]: readonly Uint8Array[]) {
  const rest = others.map(bytes => new Map(pointersOf(bytes).map(({ offset, address }) => [offset, address])))
  return pointersOf(first!).filter(({ offset, address }) => rest.every(pointers => pointers.get(offset) === address))
}

/** What pointers point to. */
function follow(memory: KernelMemory, pointers: readonly { readonly offset: number; readonly address: bigint }[], size: number) {
  return Array.from({ length: Math.ceil(pointers.length / most) }, (_, index) => pointers.slice(index * most, (index + 1) * most))
    .flatMap(some => {
      const bytes = memory.read(some.map(({ address }) => ({ address, size })))
      return some.map((pointer, index) => ({ ...pointer, bytes: bytes[index]! }))
    })
}

/** `net:[4026531840]`: the number of the namespace is the inode of its file. */
function inodeOf(namespace: string): number {
  return Number(/\[(\d+)\]/.exec(readlinkSync(`/proc/thread-self/ns/${namespace}`))?.[1])
}
