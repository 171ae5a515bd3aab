import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { attrOf, cString, readField, stringOf } from './attr.js'
import { bpf, tryBpf } from './call.js'
import { SyscallError, UnsupportedError } from './error.js'
import type { Descriptor, Descriptors } from './fd.js'
import type { Native } from './native.js'
import { batch as batchLayout, BPF_F_RDONLY_PROG, info as infoLayout, mapCreate, mapElem, mapInfo, mapType, object } from './uapi.js'

/** A type of map by its name in `enum bpf_map_type`, in lower case. */
export type MapType = keyof typeof mapType

/** A map to create. */
export interface MapSpec {
  /** At most 15 characters; only the kernel's lists show it. */
  readonly name: string
  readonly type: MapType
  /** Bytes of a key and of a value. */
  readonly keySize: number
  readonly valueSize: number
  readonly maxEntries: number
  /** `BPF_F_…` */
  readonly flags?: number
  /** The first value of an array that is frozen: programs may take it for a constant (since Linux 5.2). */
  readonly constant?: Uint8Array
  /** The types of key and value, for maps that must be described. */
  readonly btf?: { readonly fd: number; readonly keyTypeId: number; readonly valueTypeId: number }
}

/** `update` of a key that may exist, must not, or must. */
export type UpdateMode = 'any' | 'noexist' | 'exist'
const updateFlags: Readonly<Record<UpdateMode, number>> = { any: 0, noexist: 1, exist: 2 }

/** Reads a map, many entries per call. */
export interface Batch {
  /**
   * The kernel copies entries straight into the two buffers, as many as fit into both; returns how many. Entries that are created or
   * deleted meanwhile may be returned or not. Throws SyscallError: ENOSPC when one bucket of a hash has more entries than fit; the cursor
   * then stays, and larger buffers continue from there. Throws RangeError when not even one entry fits.
   */
  next(keys: Uint8Array, values: Uint8Array): number
  /** Whether the last call has reached the end. */
  readonly done: boolean
}

/** A map of the kernel. Keys and values are bytes; all sizes are checked before the kernel sees an address. */
export interface BpfMap extends Descriptor {
  readonly name: string
  /** Undefined for a type that is newer than this program. */
  readonly type: MapType | undefined
  readonly keySize: number
  /** Bytes that are read and written of a value: in a per-CPU map those of all possible CPUs, each rounded up to a multiple of 8. */
  readonly valueSize: number
  readonly maxEntries: number
  /** A copy of the value, or undefined when the key is not there. */
  lookup(key: Uint8Array): Uint8Array | undefined
  update(key: Uint8Array, value: Uint8Array, mode?: UpdateMode): void
  /** Whether the key was there. */
  delete(key: Uint8Array): boolean
  /** Takes the next value out of a queue or stack, whose keys have no bytes; undefined when it is empty (since Linux 4.20). */
  pop(): Uint8Array | undefined
  /** Makes it a file below a bpf file system, which keeps it alive. */
  pin(path: string): void
  /** Starts a walk (since Linux 5.6). */
  batch(): Batch
  /** Deletes the first `count` keys of `keys` and returns how many of them were there (since Linux 5.6). */
  deleteBatch(keys: Uint8Array, count: number): number
}

const { ENOENT } = constants.errno

/** Creates a map. Throws SyscallError, RangeError for a name that is too long. */
export function createMap(descriptors: Descriptors, spec: MapSpec): BpfMap {
  const { native } = descriptors
  const fd = bpf(native, 'MAP_CREATE', mapCreate, {
    map_type: mapType[spec.type],
    key_size: spec.keySize,
    value_size: spec.valueSize,
    max_entries: spec.maxEntries,
    map_flags: (spec.flags ?? 0) | (spec.constant === undefined ? 0 : BPF_F_RDONLY_PROG),
    map_name: spec.name,
    btf_fd: spec.btf?.fd,
    btf_key_type_id: spec.btf?.keyTypeId,
    btf_value_type_id: spec.btf?.valueTypeId,
  })
  const descriptor = descriptors.own(fd)
  try {
    const map = mapOf(native, descriptor, spec)
    if (spec.constant === undefined) return map
    map.update(new Uint8Array(spec.keySize), spec.constant)
    bpf(native, 'MAP_FREEZE', mapElem, { map_fd: fd })
    return map
  } catch (error) {
    descriptor.close()
    throw error
  }
}

/** Opens the map pinned at `path`. Throws SyscallError; EINVAL when something else is pinned there. */
export function openMap(descriptors: Descriptors, path: string): BpfMap {
  const { native } = descriptors
  const descriptor = descriptors.own(bpf(native, 'OBJ_GET', object, { pathname: cString(path) }))
  try {
    // Programs and links have an info too, of another shape; only of a map one can ask for a key.
    const probe = tryBpf(native, 'MAP_GET_NEXT_KEY', attrOf(mapElem, { map_fd: descriptor.fd }))
    if (-probe === constants.errno.EINVAL) throw new SyscallError('bpf(BPF_MAP_GET_NEXT_KEY)', -probe)
    const bytes = new Uint8Array(mapInfo.size)
    bpf(native, 'OBJ_GET_INFO_BY_FD', infoLayout, { bpf_fd: descriptor.fd, info_len: bytes.length, info: bytes })
    const type = readField(mapInfo, bytes, 'type')
    return mapOf(native, descriptor, {
      name: stringOf(mapInfo, bytes, 'name'),
      type: (Object.keys(mapType) as MapType[]).find(name => mapType[name] === type),
      keySize: readField(mapInfo, bytes, 'key_size'),
      valueSize: readField(mapInfo, bytes, 'value_size'),
      maxEntries: readField(mapInfo, bytes, 'max_entries'),
    })
  } catch (error) {
    descriptor.close()
    throw error
  }
}

/** CPUs that this machine may ever have (`num_possible_cpus`): a per-CPU map copies a value of each. Throws UnsupportedError without /sys. */
function possibleCpus(): number {
  const path = '/sys/devices/system/cpu/possible'
  try {
    const ranges = readFileSync(path, 'latin1').trim().split(',').map(range => range.split('-').map(Number))
    return ranges.reduce((sum, [first = 0, last = first]) => sum + last - first + 1, 0)
  } catch (error) {
    throw new UnsupportedError('a per-CPU map', path, { cause: error })
  }
}

type Shape = Pick<BpfMap, 'name' | 'type' | 'keySize' | 'valueSize' | 'maxEntries'>

function mapOf(native: Native, descriptor: Descriptor, { name, type, keySize, maxEntries, ...shape }: Shape): BpfMap {
  const { fd, close } = descriptor
  const valueSize = type?.includes('percpu') ? Math.ceil(shape.valueSize / 8) * 8 * possibleCpus() : shape.valueSize
  const sized = (what: string, bytes: Uint8Array, size: number) => {
    if (bytes.length !== size) throw new RangeError(`a ${what} of map ${name} has ${size} bytes, got ${bytes.length}`)
    return bytes
  }
  const key = (bytes: Uint8Array) => sized('key', bytes, keySize)
  return {
    name, type, keySize, valueSize, maxEntries, fd, close,
    lookup(at) {
      const value = new Uint8Array(valueSize)
      const result = tryBpf(native, 'MAP_LOOKUP_ELEM', attrOf(mapElem, { map_fd: fd, key: key(at), value }))
      if (result === -ENOENT) return undefined
      if (result < 0) throw new SyscallError('bpf(BPF_MAP_LOOKUP_ELEM)', -result)
      return value
    },
    update(at, value, mode = 'any') {
      bpf(native, 'MAP_UPDATE_ELEM', mapElem, {
        map_fd: fd, key: key(at), value: sized('value', value, valueSize), flags: updateFlags[mode],
      })
    },
    delete(at) {
      const result = tryBpf(native, 'MAP_DELETE_ELEM', attrOf(mapElem, { map_fd: fd, key: key(at) }))
      if (result < 0 && result !== -ENOENT) throw new SyscallError('bpf(BPF_MAP_DELETE_ELEM)', -result)
      return result >= 0
    },
    pop() {
      const value = new Uint8Array(valueSize)
      const result = tryBpf(native, 'MAP_LOOKUP_AND_DELETE_ELEM', attrOf(mapElem, { map_fd: fd, value }))
      if (result === -ENOENT) return undefined
      if (result < 0) throw new SyscallError('bpf(BPF_MAP_LOOKUP_AND_DELETE_ELEM)', -result)
      return value
    },
    pin(path) {
      bpf(native, 'OBJ_PIN', object, { pathname: cString(path), bpf_fd: fd })
    },
    batch: () => walk(native, fd, keySize, valueSize),
    deleteBatch: (keys, count) => deleteAll(native, fd, keySize, keys, count),
  }
}

function walk(native: Native, fd: number, keySize: number, valueSize: number): Batch {
  /** The kernel's bookmark: a bucket's number in a hash, a key elsewhere. */
  let [here, next] = [new Uint8Array(Math.max(4, keySize)), new Uint8Array(Math.max(4, keySize))]
  let started = false
  let done = false
  return {
    get done() {
      return done
    },
    next(keys, values) {
      if (done) return 0
      const room = Math.min(Math.floor(keys.length / keySize), Math.floor(values.length / valueSize))
      if (room === 0) throw new RangeError('the buffer is smaller than an entry: was the view detached by growing memory?')
      const attr = attrOf(batchLayout, {
        ...(started ? { in_batch: here } : {}),
        out_batch: next,
        keys: { buffer: keys, bytes: room * keySize },
        values: { buffer: values, bytes: room * valueSize },
        count: room,
        map_fd: fd,
      })
      const result = tryBpf(native, 'MAP_LOOKUP_BATCH', attr)
      done = result === -ENOENT
      if (result < 0 && !done) throw new SyscallError('bpf(BPF_MAP_LOOKUP_BATCH)', -result)
      started = true;
      [here, next] = [next, here]
      return readField(batchLayout, attr.bytes, 'count')
    },
  }
}

function deleteAll(native: Native, fd: number, keySize: number, keys: Uint8Array, count: number): number {
  if (keys.length < count * keySize) throw new RangeError(`${count} keys have ${count * keySize} bytes, got ${keys.length}`)
  let deleted = 0
  for (let from = 0; from < count;) {
    const rest = keys.subarray(from * keySize, count * keySize)
    const attr = attrOf(batchLayout, { keys: rest, count: count - from, map_fd: fd })
    const result = tryBpf(native, 'MAP_DELETE_BATCH', attr)
    if (result < 0 && result !== -ENOENT) throw new SyscallError('bpf(BPF_MAP_DELETE_BATCH)', -result)
    // The kernel stops at a key that is not there, with the number of those before it.
    const gone = readField(batchLayout, attr.bytes, 'count')
    deleted += gone
    from += gone + (result < 0 ? 1 : 0)
  }
  return deleted
}
