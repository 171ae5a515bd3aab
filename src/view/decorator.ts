import type { Decorator, Row } from '../frame/index.js'
import { Pid } from '../layout.js'
import type { CgroupPaths } from './cgroup.js'

/** A row of a process has the name that the process has now, where `nameOf` knows that; `start` is as in `Value`. */
export function currentName(nameOf: (pid: number, start: bigint) => string | undefined): Decorator {
  return () => (row, start) => {
    const comm = row.pid === undefined || start === undefined ? undefined : nameOf(row.pid, start)
    return comm === undefined ? row : { ...row, comm }
  }
}

/**
 * A row as a pid namespace shows it: `pid` is the number there, absent for a process that the namespace does not have, and `hostPid` the
 * host's. `pidInside` knows the numbers. What the kernel moves has no process in any namespace: its row stays as it is.
 */
export function insideNamespace(pidInside: (pid: number) => number | undefined): Decorator {
  return () => (row): Row => {
    const { pid: hostPid, ...rest } = row
    if (hostPid === undefined || hostPid === Pid.kernel) return row
    const pid = pidInside(hostPid)
    return { ...(pid === undefined ? {} : { pid }), hostPid, ...rest }
  }
}

/** A row has its cgroup's path in the place of the id, looked up when somebody reads it: so it comes last, as others would read it. */
export function cgroupPath(paths: CgroupPaths): Decorator {
  return () => {
    paths.refresh()
    return row => paths.named(row)
  }
}
