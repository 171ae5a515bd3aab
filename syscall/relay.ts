import { closeSync, fstatSync, readFileSync, readSync } from 'node:fs'
import { SyscallError, UnsupportedError } from './error.js'
import { loadNative } from './native.js'

/** What is written to an output, on its way. */
export interface Relay {
  /** Closes the output and waits until all is written. Returns the error that ended it before; undefined when there was none. */
  finish(): SyscallError | undefined
}

const direct: Relay = { finish: () => undefined }

/**
 * Makes an output that is a file on FUSE a pipe to a process of its own, which writes the file. Once the file system's server has taken a request,
 * no signal ends the wait for its answer, not even SIGKILL, and a process ends when the last of its threads does: one that wrote itself could not end
 * for as long as the server does not answer. Any other output stays what it is, and so does this one without the shim. To be called before
 * `process.stdout` or `process.stderr` is asked for.
 */
export function relayOf(fd: number): Relay {
  if (!isFuse(fd)) return direct
  const reply = start(fd)
  if (reply < 0) return direct
  return {
    finish: () => {
      closeSync(fd)
      const errno = new Int32Array(1)
      readSync(reply, errno)
      closeSync(reply)
      return errno[0] === 0 ? undefined : new SyscallError('write', errno[0]!)
    },
  }
}

function start(fd: number): number {
  try {
    return loadNative().relay(fd)
  } catch (error) {
    if (error instanceof UnsupportedError) return -1
    throw error
  }
}

/** By the table of mounts: statfs() would be a request to the server. */
function isFuse(fd: number): boolean {
  try {
    if (!fstatSync(fd).isFile()) return false
    const [, mount] = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? []
    // proc_pid_mountinfo(5): the id comes first, the type after a dash.
    return new RegExp(`^${mount} .* - fuse`, 'm').test(readFileSync('/proc/self/mountinfo', 'latin1'))
  } catch {
    return false
  }
}
