import type { BpfMap, Kernel } from '../../syscall/index.js'
import { entries, jsonText } from '../trace/index.js'
import { UsageError } from '../usage-error.js'

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

/** Capacity of a set that we create, as bcc's. */
const capacity = 1024

/** A set that the user named. */
export interface NamedSet {
  readonly kind: SetKind
  readonly path: string
  readonly map: BpfMap
  /** Whether nothing was at the path: the map is ours, and is not there yet either. */
  readonly isNew: boolean
}

/**
 * Opens the set pinned at `path`. When there is none an empty one is made, to be pinned with `pinSets`. Throws UsageError when the
 * path is something else; `mayBePin` says whether it can be a pin at all.
 */
export function openSet(kernel: Kernel, kind: SetKind, path: string, mayBePin: (path: string) => boolean): NamedSet {
  const map = findMap(kernel, kind, path, mayBePin)
  if (map === undefined) return { kind, path, map: makeMap(kernel, kind), isNew: true }
  if (map.type === 'hash' || map.type === 'lru_hash') {
    if (map.keySize === 8) return { kind, path, map, isNew: false }
    map.close()
    throw refusal(kind, path, `its keys have ${map.keySize} bytes`)
  }
  map.close()
  throw refusal(kind, path, `it is of ${map.type === undefined ? 'an unknown type' : `type ${map.type}`}`)
}

/** Somebody else has pinned a set meanwhile where ours was to be: that is the set, and what was started must be started with it. */
export class SetAppeared extends Error {
  override readonly name = 'SetAppeared'
}

/**
 * Pins the sets that are new, all or none. They stay there, so that a tool can be started before its set is filled. Throws UsageError
 * when one cannot be pinned where the user wants it, SetAppeared when another is there by now; `remove` removes a file.
 */
export function pinSets(sets: readonly NamedSet[], remove: (path: string) => void): void {
  const pinned: string[] = []
  for (const { kind, path, map, isNew } of sets) {
    if (!isNew) continue
    try {
      map.pin(path)
      pinned.push(path)
    } catch (error) {
      // What is pinned by now somebody may have opened: it is found again.
      if (codeOf(error) === 'EEXIST') throw new SetAppeared(path, { cause: error })
      pinned.forEach(remove)
      const what = `nothing is there and no map can be pinned there (${codeOf(error) ?? error}); is a bpf file system mounted?`
      throw refusal(kind, path, what, error)
    }
  }
}

function findMap(kernel: Kernel, kind: SetKind, path: string, mayBePin: (path: string) => boolean): BpfMap | undefined {
  try {
    return kernel.openMap(path)
  } catch (error) {
    switch (codeOf(error)) {
      case 'ENOENT':
        return undefined
      case 'EPERM':
        // bpf_lookup in kernel/bpf/inode.c keeps them for extensions.
        if (/\.[^/]*$/.test(path)) throw refusal(kind, path, 'a bpf file system allows no dot in names (EPERM)', error)
        throw error
      case 'EACCES':
        // The kernel says so both of a pin that may not be opened and of any other file.
        if (mayBePin(path)) throw error
    }
    throw refusal(kind, path, 'it is not a BPF map', error)
  }
}

function makeMap(kernel: Kernel, { name, valueSize }: SetKind): BpfMap {
  return kernel.createMap({ name, type: 'hash', keySize: 8, valueSize, maxEntries: capacity })
}

function refusal({ option }: SetKind, path: string, what: string, cause?: unknown): UsageError {
  return new UsageError(`${option} must be the path of a pinned BPF hash map with keys of 8 bytes, got ${jsonText(path)}: ${what}`, { cause })
}

/** One line about a set whose keys cannot be what the option says, or undefined. Sets may be larger than our memory. */
export function mistaken(kind: SetKind, map: BpfMap): string | undefined {
  let isEmpty = true
  for (const [key] of entries(map)) {
    if (kind.plausible(key.getBigUint64(0, true))) return undefined
    isEmpty = false
  }
  return isEmpty ? undefined : `${kind.option}: ${kind.mistake}`
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
