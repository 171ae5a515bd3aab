import { closeSync, constants, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { type Btf, BtfError, parseBtf } from '../../bpf-asm/index.js'
import { contentsOf, UnsupportedError } from '../../syscall/index.js'

const path = '/sys/kernel/btf/vmlinux'
/** Bytes of a file; a kernel's BTF has up to 12 MB. */
const largest = 64 * 2 ** 20

/** The running kernel's BTF, for `parseBtf`; undefined where there is none. Throws Node's error when it cannot be read. */
export function readBtf(): Uint8Array | undefined {
  if (!existsSync(path)) return undefined
  checkFile(statSync(path))
  return contentsOf(path)
}

/**
 * A BTF file that a user names. Throws Node's error when it cannot be read, and BtfError for what is no regular file of at most 64 MB: that is not
 * even opened, for opening may block, and reading never end.
 */
export function readBtfFile(path: string): Uint8Array {
  checkFile(statSync(path))
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  try {
    const about = fstatSync(fd)
    checkFile(about)
    const bytes = new Uint8Array(about.size)
    for (let done = 0; done < bytes.length;) {
      const count = readSync(fd, bytes, done, bytes.length - done, null)
      if (count === 0) return bytes.subarray(0, done)
      done += count
    }
    return bytes
  } finally {
    closeSync(fd)
  }
}

function checkFile(about: { isFile(): boolean; readonly size: number }): void {
  if (!about.isFile()) throw new BtfError('it is no regular file')
  if (about.size > largest) throw new BtfError(`it has ${about.size} bytes, and BTF at most ${largest}`)
}

/** The same, read. Throws UnsupportedError where there is none, BtfError when it is damaged. */
export function kernelBtf(): Btf {
  const bytes = readBtf()
  if (bytes === undefined) throw new UnsupportedError('this program', 'a kernel with BTF (CONFIG_DEBUG_INFO_BTF)')
  return parseBtf(bytes)
}
