import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { SyscallError } from './error.js'
import { findNative } from './native.js'

/**
 * What is in a file of /sys, such as the kernel's BTF, which it gives to `read` in pages: without a copy where it can be mapped (BTF since
 * Linux 6.16), and not to be written to. Throws Node's error when it cannot be opened, SyscallError when it cannot be read.
 */
export function contentsOf(path: string): Uint8Array {
  const native = findNative()
  const fd = openSync(path, 'r')
  try {
    const { size } = fstatSync(fd)
    if (native === undefined || size === 0) return readFileSync(fd)
    const found = native.contents(fd, size)
    if (typeof found === 'number') throw new SyscallError(`read(${path})`, -found)
    return found
  } finally {
    closeSync(fd)
  }
}
