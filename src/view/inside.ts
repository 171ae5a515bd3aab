import type { Row } from '../frame/index.js'
import { Pid } from '../layout.js'

/**
 * A row as a pid namespace shows it: `pid` is the number there, absent for a process that the namespace does not have, and `hostPid` the
 * host's. `pidInside` knows the numbers. What the kernel moves has no process in any namespace: its row stays as it is.
 */
export function rowInside(row: Row, pidInside: (pid: number) => number | undefined): Row {
  const { pid: hostPid, ...rest } = row
  if (hostPid === undefined || hostPid === Pid.kernel) return row
  const pid = pidInside(hostPid)
  return { ...(pid === undefined ? {} : { pid }), hostPid, ...rest }
}
