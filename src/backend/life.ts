import { destroyed, emptied, mapName, renamed, seedFile, seedSocket, stateSet } from '../program/index.js'
import type { Point } from '../trace/index.js'
import type { Hook } from './backend.js'

/** A connection from its beginning to its end: what every variant needs of tracepoints, typed or raw. */
export const lifeAt = (at: (tracepoint: string) => Point): readonly Hook[] => [
  { program: 'tcptop_state', on: at('inet_sock_set_state'), code: stateSet },
  { program: 'tcptop_destroy', on: at('tcp_destroy_sock'), code: destroyed },
  { program: 'tcptop_destroy2', on: at('tcp_destroy_sock'), code: destroyed },
]

/** Which process has another name. Stands before hooks at which pockets are made. */
export const renames = (at: (tracepoint: string) => Point): Hook =>
  ({ program: 'tcptop_rename', on: at('task_rename'), forPockets: true, code: renamed })

/** Empties all pockets: `iterator` walks over what is kept of sockets. */
export const pocketsIn = (iterator: string): Hook =>
  ({ program: 'tcptop_pockets', on: { sweep: iterator, map: mapName.sockets }, forPockets: true, code: emptied })

/**
 * The same of pockets in the storage of sockets. Where `bpf_selem_unlink_nofail` takes an element out of its lists (commit 0be08389c7f2), it
 * clears `selem->local_storage`, which `bpf_sk_storage_map_seq_show` follows: a walk beside a socket that goes away may make the kernel oops.
 */
export const pocketsInStorage: Hook = { ...pocketsIn('bpf_sk_storage_map'), unless: 'bpf_selem_unlink_nofail' }

/** Connections that are older than the tool. In this order, for the first knows the owners. */
export const seeds: readonly Hook[] = [
  { program: 'tcptop_files', on: { iterator: 'task_file' }, code: seedFile },
  { program: 'tcptop_sockets', on: { iterator: 'tcp' }, code: seedSocket },
]

/** The same where a kernel without BTF has none. */
export const seedsIfAny: readonly Hook[] = seeds.map(hook => ({ ...hook, optional: true }))

export const typedPoint = (tracepoint: string): Point => ({ tracepoint })
export const rawPoint = (rawTracepoint: string): Point => ({ rawTracepoint })
