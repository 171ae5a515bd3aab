import { closeSync, existsSync, readSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { UnsupportedError } from './error.js'

/**
 * A buffer whose address the shim writes into an attribute: where, which buffer, and how many of its bytes the kernel may touch. The
 * shim refuses (EFAULT) a buffer that is shorter, such as a view that growing WebAssembly memory has detached.
 */
export type Pointer = readonly [offset: number, buffer: Uint8Array, bytes: number]

/** System calls, each returning what the kernel returned, or the negative errno. */
export interface Native {
  bpf(command: number, attr: Uint8Array, pointers: readonly Pointer[]): number
  perfEventOpen(attr: Uint8Array, pid: number, cpu: number, group: number, flags: number, pointers: readonly Pointer[]): number
  perfEventIoctl(fd: number, request: number, argument: number): number
  /** Allows this process as much locked memory as it may have: RLIMIT_MEMLOCK. */
  raiseMemlock(): number
  close(fd: number): void
  /** Throws Node's error. */
  read(fd: number, buffer: Uint8Array): number
}

/** Where the shim can be, seen from dist/syscall/. */
const places = ['../../syscall/build/Release/tcptop.node']

/** Loads the shim. Throws UnsupportedError when it was not built or does not fit this machine. */
export function loadNative(): Native {
  const path = places.map(place => fileURLToPath(new URL(place, import.meta.url))).find(existsSync)
  if (path === undefined) throw new UnsupportedError('the native shim is not built: run npm run build (it takes g++, make and python3)')
  let shim: unknown
  try {
    shim = createRequire(import.meta.url)(path)
  } catch (cause) {
    throw new UnsupportedError(`the native shim ${path} does not fit this machine: run npm run build`, undefined, { cause })
  }
  return { ...shim as Pick<Native, 'bpf' | 'perfEventOpen' | 'perfEventIoctl' | 'raiseMemlock'>, close: closeSync, read: (fd, buffer) => readSync(fd, buffer) }
}
