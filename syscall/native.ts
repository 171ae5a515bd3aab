import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { UnsupportedError } from './error.js'

/**
 * A buffer whose address the shim writes into an attribute: where, which buffer, and how many of its bytes the kernel may touch. The
 * shim refuses (EFAULT) a buffer that is shorter, such as a view that growing WebAssembly memory has detached.
 */
export type AttrPointer = readonly [offset: number, buffer: Uint8Array, bytes: number]

/** System calls, each returning what the kernel returned, or the negative errno. */
export interface Native {
  bpf(command: number, attr: Uint8Array, pointers: readonly AttrPointer[]): number
  perfEventOpen(attr: Uint8Array, pid: number, cpu: number, group: number, flags: number, pointers: readonly AttrPointer[]): number
  perfEventIoctl(fd: number, request: number, argument: number): number
  /** Allows this process as much locked memory as it may have: RLIMIT_MEMLOCK. */
  raiseMemlock(): number
  /** Of this thread; with `threads` of those instead, and then how many have done so within a second. */
  setCapabilities(data: Uint8Array, threads: readonly number[]): number
  /**
   * From now on SIGINT, SIGTERM and SIGHUP end the process with status 0, whatever its threads are doing: the first one after so many
   * milliseconds, unless `endIn` says otherwise meanwhile, the second one at once. Handlers that are set by now still run.
   */
  endOn(milliseconds: number): number
  /** Ends the process when so many milliseconds have passed, with status 0, whatever its threads are doing; 0 takes that back. */
  endIn(milliseconds: number): number
  /** When `endOn` or `endIn` end the process, its terminal gets back its present modes and is sent this; empty takes that back. */
  restoreAtEnd(text: Uint8Array): number
  /**
   * From now on what is written to `fd` goes through a pipe to a process that writes it where it went before. Returns the descriptor on which that
   * says how it ended, when the last writer has closed the pipe: four bytes of an errno.
   */
  relay(fd: number): number
  /** Six words of arguments, in which pointers have their place. */
  socketCall(name: SocketCall, words: Uint8Array, pointers: readonly AttrPointer[]): number
  /** So many bytes of a file, or the negative errno. They are not to be written to. */
  contents(fd: number, length: number): Uint8Array | number
  close(fd: number): void
  /** Throws Node's error. */
  read(fd: number, buffer: Uint8Array): number
}

/** The calls on sockets that the shim knows. */
export type SocketCall =
  | 'socket' | 'bind' | 'listen' | 'connect' | 'accept' | 'send' | 'receive' | 'shutdown' | 'localAddress' | 'setOption' | 'option'

/**
 * Where the shim can be, seen from dist/syscall/: built here, or elsewhere for this kind of machine. What was built here does not fit where
 * the folder was brought to, or is seen from, another machine.
 */
const places = ['../../syscall/build/Release/tcptop.node', `../../prebuilt/${process.platform}-${process.arch}/tcptop.node`]

/** Loads the first shim that fits. Throws UnsupportedError when none was built or none fits this machine. */
export function loadNative(): Native {
  const paths = places.map(place => fileURLToPath(new URL(place, import.meta.url))).filter(existsSync)
  if (paths.length === 0) throw new UnsupportedError('the native shim is not built: run npm run build (it takes g++, make and python3)')
  const causes: unknown[] = []
  for (const path of paths) {
    try {
      checkWhole(path)
      const shim = createRequire(import.meta.url)(path) as Omit<Native, 'close' | 'read'>
      return { ...shim, close: closeSync, read: (fd, buffer) => readSync(fd, buffer) }
    } catch (cause) {
      causes.push(cause)
    }
  }
  const wrong = causes.some(cause => cause instanceof Damage) ? 'is damaged: install it again, or' : 'does not fit this machine:'
  throw new UnsupportedError(`the native shim ${paths.join(', ')} ${wrong} run npm run build`, undefined, { cause: causes[0] })
}

/** The same; undefined when none fits. */
export function findNative(): Native | undefined {
  try {
    return loadNative()
  } catch (error) {
    if (error instanceof UnsupportedError) return undefined
    throw error
  }
}

/** A file of this installation is not as it was. */
class Damage extends Error {}

/** Bytes of an ELF header, and where in it are the offset, the size and the number of section headers (elf(5)): they end the file. */
const elf = { size: 64, offset: 0x28, each: 0x3a, count: 0x3c } as const

/** Throws Damage when the end of a shim is missing: to load it would end the process by SIGBUS. Loading reports any other damage. */
function checkWhole(path: string): void {
  const header = new Uint8Array(elf.size)
  const fd = openSync(path, 'r')
  try {
    if (readSync(fd, header) < elf.size) return
    const view = new DataView(header.buffer)
    const end = Number(view.getBigUint64(elf.offset, true)) + view.getUint16(elf.each, true) * view.getUint16(elf.count, true)
    const { size } = fstatSync(fd)
    if (size < end) throw new Damage(`${path} has ${size} bytes of ${end}`)
  } finally {
    closeSync(fd)
  }
}
