import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { jsonText } from '../trace/index.js'
import { UsageError } from '../usage-error.js'
import { type Head, headOf, headSize, nextHead } from './member.js'

/** A member in its file. */
export interface Place extends Head {
  readonly offset: number
}

/** What is in a file, by the heads of its members. */
export interface Survey {
  readonly places: readonly Place[]
  /** Where the last whole member ends. */
  readonly end: number
  /** Bytes of the file. */
  readonly size: number
  /** Bytes between whole members and after them, which are no member. */
  readonly damaged: number
  /** Whether the file begins as a recording does; an empty one may become one. */
  readonly isRecording: boolean
}

/** Bytes that are searched at once for the next member after damage. */
const chunk = 1024 * 1024

/** Finds the members of a file; what is between their heads is not read. Throws Node's error when the file cannot be read. */
export function survey(fd: number): Survey {
  const { size } = fstatSync(fd)
  const places: Place[] = []
  let [offset, end, damaged, isRecording] = [0, 0, 0, true]
  while (offset < size) {
    const head = headOf(readAt(fd, offset, Math.min(headSize, size - offset)))
    if (offset === 0) isRecording = head !== undefined
    if (head !== undefined && offset + head.length <= size) {
      places.push({ offset, ...head })
      offset += head.length
      end = offset
    } else {
      if (!isRecording) break
      const next = search(fd, offset + 1, size)
      damaged += next - offset
      offset = next
    }
  }
  return { places, end, size, damaged, isRecording }
}

/** Where the next member begins from `from` on; the end of the file when none does. */
function search(fd: number, from: number, size: number): number {
  for (let offset = from; offset < size; offset += chunk) {
    const at = nextHead(readAt(fd, offset, Math.min(chunk + headSize, size - offset)), 0)
    if (at >= 0) return offset + at
  }
  return size
}

/** Bytes of a file; fewer when it ends before. */
export function readAt(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  let done = 0
  while (done < length) {
    const count = readSync(fd, bytes, done, length - done, offset + done)
    if (count === 0) break
    done += count
  }
  return bytes.subarray(0, done)
}

/**
 * Opens a file to read from it, or, with `constants.O_…` flags, to write. Throws UsageError when it is no regular file, Node's error when it cannot be
 * opened. It never blocks: to open a pipe would wait for its other end.
 */
export function openRegular(option: string, path: string, flags: number = constants.O_RDONLY): number {
  // What is written has names and addresses of others: it is for its owner.
  const fd = openSync(path, flags | constants.O_NONBLOCK, 0o600)
  if (fstatSync(fd).isFile()) return fd
  closeSync(fd)
  throw new UsageError(`${option} must be a regular file or a directory, got ${jsonText(path)}`)
}

/** Why a file cannot be had, in Node's words and without the system call. */
export function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.replace(/, (open|read|write|fsync|scandir|mkdir|stat|fstat|ftruncate|unlink)( '.*')?$/s, '')
}
