import {
  add, address, any, block, call, type Code, is, ja, loadImm64, loadMap, loadMapValue, lookup, loop, lsh, mov, mov32, note, type Place, r0, r1, r2, r3,
  r4, readInto, sub, update,
} from '../../bpf-asm/index.js'
import { type Access, loadCopy } from './access.js'
import type { Context } from './context.js'
import { type KernelFields, present } from './field.js'
import { type Filter, type PidNamespace, wantedOf } from './filter.js'
import { amount, flow, Known, mapName, stack, task } from './frame.js'

/** r0 is 0, and `stack.scratch` has the ids of the current thread and process, if this is their own namespace (since Linux 5.7). */
function pidInside({ dev, ino }: PidNamespace): Code {
  return [loadImm64(r1, dev), loadImm64(r2, ino), address(r3, stack.scratch.inside), mov(r4, 8), call('get_ns_current_pid_tgid')]
}

/** Notes the id of the current process, `task`, in the tool's namespace, under its id on the host. Clobbers r0 to r5. */
export function notePidInside({ access, filter: { pidNamespace } }: Context): Code {
  return pidNamespace === undefined ? [] : block('noted', noted => [
    pidInside(pidNamespace),
    note('not directly in the namespace', is.ne(r0, 0).jump(noted)),
    access.tgid(r1),
    stack.passing.id.store(r1),
    update(mapName.pids, stack.passing.id, stack.scratch.inside.process),
  ])
}

/** Leaves for `reject` unless the process in r1 is wanted. Clobbers r0 to r5. */
function unlessWanted(filter: Filter, reject: Place): Code {
  return wantedOf(filter).length === 0 ? any(...filter.pids.map(pid => is.eq32(r1, pid))).jumpUnless(reject) : [
    stack.scratch.id.store(r1),
    lookup(mapName.wanted, stack.scratch.id),
    is.eq(r0, 0).jump(reject),
  ]
}

/** Leaves for `reject` unless the current task, which is in `task`, passes the filter. Clobbers r0 to r5. */
export function admit({ field, filter, access }: Context, reject: Place): Code {
  return [
    filter.pids.length === 0 ? [] : [
      filter.pidNamespace === undefined ? access.tgid(r1) : [
        pidInside(filter.pidNamespace),
        is.ne(r0, 0).jump(reject),
        stack.scratch.inside.process.load(r1),
      ],
      unlessWanted(filter, reject),
    ],
    !filter.cgroup ? [] : [
      note('--cgroup: in it or below', loadMap(r1, mapName.cgroup)),
      mov(r2, 0),
      call('current_task_under_cgroup'),
      is.ne(r0, 1).jump(reject),
    ],
    !filter.cgroupIds ? [] : [
      note('--cgroupmap: its id is a key', call('get_current_cgroup_id')),
      stack.scratch.word.store(r0),
      lookup(mapName.cgroupIds, stack.scratch.word),
      is.eq(r0, 0).jump(reject),
    ],
    filter.mntnsIds ? inMountNamespaces({ field, access }, reject) : [],
  ]
}

function inMountNamespaces({ field, access: { read } }: Pick<Context, 'field' | 'access'>, reject: Place): Code {
  return [
    note('--mntnsmap: its inode is a key', read(r1, field.nsproxy, task)),
    is.eq(r1, 0).jump(reject),
    read(r1, field.mntNs, r1),
    read(r1, field.mntInum, r1),
    stack.scratch.word.store(r1),
    lookup(mapName.mntnsIds, stack.scratch.word),
    is.eq(r0, 0).jump(reject),
  ]
}

/** Levels of cgroups searched at most. */
const levels = 32

/** Whether `admitTask` has what it needs: for some filters it copies kernel memory. If not, a process is found to be wanted when it moves bytes. */
export function canAdmitTask({ filter, mayCopy }: Context): boolean {
  return mayCopy || !(filter.cgroup || filter.cgroupIds || (filter.pids.length > 0 && filter.pidNamespace !== undefined))
}

/**
 * Leaves for `reject` unless `task` passes the filter. It is not the current task, so no helper answers: this reads the kernel's structures. Clobbers
 * r0 to r5, `amount` and `flow`.
 */
export function admitTask({ field, filter, access }: Context, reject: Place): Code {
  const { read } = access
  const cgroup = [note('its cgroup', read(r1, present(field, 'cgroups'), task)), read(r1, present(field, 'defaultCgroup'), r1), mov(flow, r1)]
  /** The id of the cgroup in `flow`, on the stack. */
  const id = [
    loadCopy(r3, present(field, 'cgroupNode'), flow),
    readInto(stack.passing.word, r3, present(field, 'cgroupId').offset),
  ]
  return [
    filter.pids.length === 0 ? [] : [
      filter.pidNamespace === undefined ? read(r1, field.tgid, task) : pidOf(field, filter.pidNamespace, access, reject),
      unlessWanted(filter, reject),
    ],
    !filter.cgroup ? [] : [
      cgroup,
      note('--cgroup: it or one above it', mov(amount, levels)),
      block('inside', inside => loop('cgroup', again => [
        id,
        stack.passing.word.load(r1),
        loadMapValue(r2, mapName.known, 0),
        Known.in(r2).cgroup.load(r2),
        is.eq(r1, r2).jump(inside),
        // `struct cgroup` begins with its `self`.
        loadCopy(flow, present(field, 'cgroupParent'), flow),
        is.eq(flow, 0).jump(reject),
        sub(amount, 1),
        is.ne(amount, 0).jump(again),
        ja(reject),
      ])),
    ],
    !filter.cgroupIds ? [] : [
      cgroup,
      id,
      lookup(mapName.cgroupIds, stack.passing.word),
      is.eq(r0, 0).jump(reject),
    ],
    filter.mntnsIds ? inMountNamespaces({ field, access }, reject) : [],
  ]
}

/** `r1 =` the id of `task`'s process in the namespace that it is directly in; leaves for `reject` when that is another one. */
function pidOf(field: KernelFields, { ino }: PidNamespace, { read }: Access, reject: Place): Code {
  const { offset } = present(field, 'pidNumbers')
  // `struct upid` of include/linux/pid.h: the number, then a pointer to the namespace.
  const upid = { number: { offset, size: 4 }, namespace: { offset: offset + 8, size: 8 }, size: 16 }
  return [
    read(r1, field.leader, task),
    read(flow, present(field, 'threadPid'), r1),
    is.eq(flow, 0).jump(reject),
    read(r1, present(field, 'pidLevel'), flow),
    note('the last of its numbers', lsh(r1, Math.log2(upid.size))),
    mov(r3, flow),
    add(r3, r1),
    mov(flow, r3),
    loadCopy(r3, upid.namespace, flow),
    loadCopy(r1, present(field, 'pidNamespaceInum'), r3),
    mov32(r2, Number(BigInt.asIntN(32, ino))),
    is.ne32(r1, r2).jump(reject),
    loadCopy(r1, upid.number, flow),
  ]
}
