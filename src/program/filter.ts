/** A pid namespace: the device and inode of `/proc/self/ns/pid`. */
export interface PidNamespace {
  readonly dev: bigint
  readonly ino: bigint
}

/** Whose bytes are wanted. A filter that is not used costs no instruction. */
export interface Filter {
  readonly pids: readonly number[]
  readonly family?: 4 | 6
  /** The current task must be in this cgroup or below: `mapName.cgroup` holds it. */
  readonly cgroup: boolean
  /** The current task's cgroup id must be a key of `mapName.cgroupIds`. */
  readonly cgroupIds: boolean
  /** The current task's mount namespace must be a key of `mapName.mntnsIds`. */
  readonly mntnsIds: boolean
  /** The namespace of `pids`, in which `mapName.pids` numbers the processes. Absent in the initial one. */
  readonly pidNamespace?: PidNamespace
}

/** Whether any part of the filter looks at the process. */
export function choosesProcesses({ pids, cgroup, cgroupIds, mntnsIds }: Filter): boolean {
  return pids.length > 0 || cgroup || cgroupIds || mntnsIds
}

/** Up to so many pids are compared one by one; for more a map is faster. */
const mostCompared = 8

/** The pids that `admit` looks up in `mapName.wanted`; none where it compares them. */
export function wantedOf({ pids }: Filter): readonly number[] {
  return pids.length > mostCompared ? pids : []
}
