import {
  call, type Code, ja, jeq, jeq32, jne, label, loadMap, mov, note, r0, r1, r10, r2, store,
} from '../../bpf-asm/index.js'
import { lookup } from './access.js'
import { type Context, mapName, stack, task } from './context.js'

/** Whose bytes are wanted. What is not asked for is absent and costs nothing. */
export interface Filter {
  readonly pids: readonly number[]
  readonly family?: 4 | 6
  /** The current task must be in this cgroup or below: `mapName.cgroup` holds it. */
  readonly cgroup: boolean
  /** The current task's cgroup id must be a key of `mapName.cgroupIds`. */
  readonly cgroupIds: boolean
  /** The current task's mount namespace must be a key of `mapName.mntnsIds`. */
  readonly mntnsIds: boolean
}

/** Whether any part of the filter looks at the process. */
export function choosesProcesses({ pids, cgroup, cgroupIds, mntnsIds }: Filter): boolean {
  return pids.length > 0 || cgroup || cgroupIds || mntnsIds
}

/** Goes to `reject` unless the current task, which is `task`, passes. Clobbers r0 to r5. */
export function admit({ field, filter, access }: Context, reject: string, name = 'admit'): Code {
  const { read } = access
  return [
    filter.pids.length === 0 ? [] : [
      access.tgid(r1),
      filter.pids.map(pid => jeq32(r1, pid, name)),
      ja(reject),
      label(name),
    ],
    !filter.cgroup ? [] : [
      note('--cgroup: in it or below', loadMap(r1, mapName.cgroup)),
      mov(r2, 0),
      call('current_task_under_cgroup'),
      jne(r0, 1, reject),
    ],
    !filter.cgroupIds ? [] : [
      note('--cgroupmap: its id is a key', call('get_current_cgroup_id')),
      store('u64', r10, stack.filterKey, r0),
      lookup(mapName.cgroupIds, stack.filterKey),
      jeq(r0, 0, reject),
    ],
    !filter.mntnsIds ? [] : [
      note('--mntnsmap: its inode is a key', read(r1, field.nsproxy, task)),
      jeq(r1, 0, reject),
      read(r1, field.mntNs, r1),
      read(r1, field.mntInum, r1),
      store('u64', r10, stack.filterKey, r1),
      lookup(mapName.mntnsIds, stack.filterKey),
      jeq(r0, 0, reject),
    ],
  ]
}
