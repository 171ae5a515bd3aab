import { statSync } from 'node:fs'
import {
  address, type Btf, call, type Code, fieldOf, is, loadImm64, mov, note, r0, r1, r2, r3, r4, r7, record, type RecordView, rsh, text, when, zero,
} from '../../bpf-asm/index.js'

/** `struct bpf_pidns_info`: the thread, and the process. */
const idFields = { thread: 'u32', process: 'u32' } as const
const ids = record(idFields)
const fields = { ids, cgroup: 'u64', uid: 'u32', mntns: 'u32', comm: text(16) } as const
/** The current process, as `readProcess` writes it. */
export const processRecord = record(fields)

/** A pid namespace, by the device and inode of `/proc/self/ns/pid`. */
export interface PidNamespace {
  readonly dev: bigint
  readonly ino: bigint
}

/**
 * Writes the current process: its id, 0 when `namespace` is given and the process is not directly in it (since Linux 5.7); its user; its cgroup and
 * mount namespace; and the name of its main thread. Clobbers r0 to r5 and r7. Throws BtfError when the kernel lacks a member that is read.
 */
export function readProcess(btf: Btf, to: RecordView<typeof fields>, namespace?: PidNamespace): Code {
  const task = (path: string) => fieldOf(btf, 'task_struct', path)
  // Holds pointers before the cgroup is written there.
  const pointer = to.cgroup
  return [
    note('the task', call('get_current_task'), mov(r7, r0)),
    note('the name of its main thread', task('group_leader').read(pointer, r7)),
    pointer.load(r3),
    task('comm').read(to.comm, r3),
    note('its mount namespace', task('nsproxy').read(pointer, r7)),
    pointer.load(r3),
    fieldOf(btf, 'nsproxy', 'mnt_ns').read(pointer, r3),
    pointer.load(r3),
    fieldOf(btf, 'mnt_namespace', 'ns.inum').read(to.mntns, r3),
    note('its user', call('get_current_uid_gid')),
    to.uid.store(r0),
    note('its cgroup', call('get_current_cgroup_id')),
    to.cgroup.store(r0),
    readIds(to.ids, namespace),
  ]
}

function readIds(to: RecordView<typeof idFields>, namespace: PidNamespace | undefined): Code {
  if (namespace === undefined) {
    return [note('the thread group, which users call the process', call('get_current_pid_tgid')), rsh(r0, 32), to.process.store(r0), to.thread.store(0)]
  }
  return [
    note('what it is called in the pid namespace', zero(to)),
    loadImm64(r1, namespace.dev), loadImm64(r2, namespace.ino), address(r3, to), mov(r4, ids.size), call('get_ns_current_pid_tgid'),
  ]
}

/** Runs `body` when the current process is `pid` in `namespace`, or in the initial one. Clobbers r0 to r5 and the top 8 bytes of the stack before it. */
export function whenProcess(pid: number, namespace: PidNamespace | undefined, body: Code): Code {
  const current = ids.onStack()
  return [readIds(current, namespace), current.process.load(r1), when(is.eq(r1, pid), body)]
}

/** `PROC_PID_INIT_INO` (include/linux/proc_ns.h): the initial pid namespace. */
const initial = 0xefff_fffcn

/** The pid namespace of this process; undefined when it is the initial one. Throws Node's error without /proc. */
export function pidNamespace(): PidNamespace | undefined {
  const { dev, ino } = statSync('/proc/self/ns/pid', { bigint: true })
  return ino === initial ? undefined : { dev, ino }
}
