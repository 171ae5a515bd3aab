import type { BpfMap, Kernel } from '../syscall/index.js'
import { UsageError } from './usage-error.js'

/** A set of ids that users keep in a pinned map and change while the tool runs: the keys are members, the values are never read. */
export interface SetKind {
  readonly option: string
  readonly name: string
  /** Bytes of a value in a set that we make; in one that we find any size will do. */
  readonly valueSize: number
  /** Whether a key can be an id of this kind. */
  readonly plausible: (id: bigint) => boolean
  readonly mistake: string
}

/** Inodes of namespaces are numbered from here on: PROC_DYNAMIC_FIRST in fs/proc/generic.c; those of cgroups from 1. */
const firstNamespace = 0xf0000000n
const isNamespace = (id: bigint) => id >= firstNamespace && id <= 0xffffffffn

export const cgroupSet: SetKind = {
  option: '--cgroupmap',
  name: 'cgroup_ids',
  valueSize: 8,
  plausible: id => !isNamespace(id),
  mistake: 'no key can be a cgroup id; ids of mount namespaces belong to --mntnsmap',
}

export const mntnsSet: SetKind = {
  option: '--mntnsmap',
  name: 'mntns_ids',
  valueSize: 4,
  plausible: isNamespace,
  mistake: 'no key can be the inode of a mount namespace; ids of cgroups belong to --cgroupmap',
}

/** Entries of a set that we make, as bcc makes it; of any set, entries that are looked at at once. */
const entries = 1024

/**
 * Opens the set pinned at `path`. When there is none an empty one is made and pinned, and stays there, so that a tool can be
 * started before its set is filled. Throws UsageError when the path is something else.
 */
export function openSet(kernel: Kernel, kind: SetKind, path: string): BpfMap {
  const refuse = (what: string, cause?: unknown) =>
    new UsageError(`${kind.option} must be the path of a pinned BPF hash map with keys of 8 bytes, got "${path}": ${what}`, { cause })
  const map = openOrMake(kernel, kind, path, refuse)
  if (map.type === 'hash' || map.type === 'lru_hash') {
    if (map.keySize === 8) return map
    map.close()
    throw refuse(`its keys have ${map.keySize} bytes`)
  }
  map.close()
  throw refuse(`it is of ${map.type === undefined ? 'an unknown type' : `type ${map.type}`}`)
}

function openOrMake(kernel: Kernel, kind: SetKind, path: string, refuse: (what: string, cause: unknown) => UsageError): BpfMap {
  try {
    return kernel.openMap(path)
  } catch (error) {
    switch (codeOf(error)) {
      case 'ENOENT':
        return makeSet(kernel, kind, path, refuse)
      case 'EPERM':
        throw error
      default:
        throw refuse(`it is no BPF map${codeOf(error) === 'EACCES' ? ', or may not be read' : ''}`, error)
    }
  }
}

function makeSet(kernel: Kernel, { name, valueSize }: SetKind, path: string, refuse: (what: string, cause: unknown) => UsageError): BpfMap {
  const map = kernel.createMap({ name, type: 'hash', keySize: 8, valueSize, maxEntries: entries })
  try {
    map.pin(path)
    return map
  } catch (error) {
    map.close()
    throw refuse(`nothing is there and no map can be pinned there (${codeOf(error) ?? error}); is a bpf file system mounted?`, error)
  }
}

/** One line about a set whose keys cannot be what the option says, or undefined. Sets may be larger than our memory. */
export function mistaken(kind: SetKind, map: BpfMap): string | undefined {
  const keys = new Uint8Array(8 * entries)
  const values = new Uint8Array(map.valueSize * entries)
  const view = new DataView(keys.buffer)
  let members = 0
  for (const batch = map.batch(); !batch.done;) {
    const count = batch.next(keys, values)
    for (let index = 0; index < count; index++) if (kind.plausible(view.getBigUint64(8 * index, true))) return undefined
    members += count
  }
  return members > 0 ? `${kind.option}: ${kind.mistake}` : undefined
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
