import { block, is, when } from './block.js'
import { AssemblyError, type Code } from './code.js'
import { call, loadMap, mov, r0, r1, r2, r3, r4, type Register } from './insn.js'
import type { MapShape } from './map.js'
import { address, type Fields, fieldAt, type Located, type RecordType, where } from './record.js'

/** A map of records: creates the map, names it in programs, and decodes its entries in JavaScript. */
export interface RecordMap<Type extends string, Key extends Fields, Value extends Fields> extends MapShape {
  readonly type: Type
  readonly key: RecordType<Key>
  readonly value: RecordType<Value>
}

/** Characters of a map's or program's name (`BPF_OBJ_NAME_LEN` less the NUL). */
const longestName = 15

/** Returns a name that the kernel accepts for a map or program. Throws AssemblyError for any other. */
export function checkedName(name: string): string {
  if (/^[\w.]+$/.test(name) && name.length <= longestName) return name
  throw new AssemblyError(`the name of a map or program must be 1 to ${longestName} letters, digits, _ and ., got "${name}"`)
}

/**
 * A map of records. `type` is a map type of `tcptop/syscall`, but none that has a value per CPU. Throws AssemblyError for such a type, and for a name
 * that the kernel would refuse.
 *
 * ```ts
 * const flows = mapOf('hash', 'flows', { key: record({ port: 'be16' }), value: record({ bytes: 'u64' }), maxEntries: 1024 })
 * ```
 */
export function mapOf<const Type extends string, Key extends Fields, Value extends Fields>(
  type: Type, name: string, { key, value, maxEntries }: { readonly key: RecordType<Key>; readonly value: RecordType<Value>; readonly maxEntries: number },
): RecordMap<Type, Key, Value> {
  if (type.includes('percpu')) throw new AssemblyError(`a value of a ${type} is one per CPU, no record`)
  return { name: checkedName(name), type, key, value, keySize: key.size, valueSize: value.size, maxEntries }
}

/** A map, or its name. With a map, sizes of keys and values are checked. */
export type MapName = string | { readonly name: string; readonly keySize?: number; readonly valueSize?: number }

const nameOf = (map: MapName) => typeof map === 'string' ? map : map.name

/** Throws AssemblyError when something is not of the size that the map has. */
function sized(map: MapName, what: 'key' | 'value', of: Located | Register): Located | Register {
  const size = typeof map === 'string' ? undefined : map[`${what}Size`]
  if (size !== undefined && where in of && of[where].size !== size) {
    throw new AssemblyError(`map ${nameOf(map)} has ${what}s of ${size} bytes, not ${of[where].size}`)
  }
  return of
}

/** `r0 =` the address of a key's value, or 0: `map_lookup_elem`. `key` is in memory; a plain register points to it. Clobbers r1 to r5. */
export function lookup(map: MapName, key: Located | Register): Code {
  return [address(r2, sized(map, 'key', key)), loadMap(r1, nameOf(map)), call('map_lookup_elem')]
}

/** `BPF_ANY`, `BPF_NOEXIST`, `BPF_EXIST` (include/uapi/linux/bpf.h) */
const modes = { any: 0, noexist: 1, exist: 2 } as const

/**
 * Inserts or replaces an entry: `map_update_elem`. `noexist` only inserts, `exist` only replaces. `r0 =` 0 or a negative errno. Clobbers r1 to r5.
 * Throws AssemblyError when `value` is based on r2, which the address of the key overwrites.
 */
export function update(map: MapName, key: Located | Register, value: Located | Register, mode: keyof typeof modes = 'any'): Code {
  if ((where in value ? value[where].base : value).register === r2.register) {
    throw new AssemblyError('the value cannot be based on r2, which the address of the key overwrites')
  }
  return [
    address(r2, sized(map, 'key', key)), address(r3, sized(map, 'value', value)), mov(r4, modes[mode]), loadMap(r1, nameOf(map)), call('map_update_elem'),
  ]
}

/** Removes an entry: `map_delete_elem`. `r0 =` 0, or -2 (ENOENT) when there was none. Clobbers r1 to r5. */
export function remove(map: MapName, key: Located | Register): Code {
  return [address(r2, sized(map, 'key', key)), loadMap(r1, nameOf(map)), call('map_delete_elem')]
}

/**
 * Adds `by` to the value of a key, atomically, and inserts the entry with that value when there is none. `by` is in memory: a u32, a u64, or a
 * record of u64, of which each is added. When the map is full, nothing is added. `key` and `by` are on the stack, or r6 to r9 point to them.
 * Clobbers r0 to r5. Throws AssemblyError for any other size of `by`.
 */
export function increment(map: MapName, key: Located | Register, by: Located): Code {
  const { base, offset, size } = by[where]
  if (size !== 4 && size % 8 !== 0) throw new AssemblyError(`increment adds a u32 or whole u64 words, not ${size} bytes`)
  const shape = size === 4 ? 'u32' : 'u64'
  const steps = Array.from({ length: Math.ceil(size / 8) }, (_, index) => 8 * index)
  return block('counted', counted => [
    lookup(map, key),
    when(is.eq(r0, 0), [
      update(map, key, by, 'noexist'),
      is.eq(r0, 0).jump(counted),
      // Another processor was first, or the map is full.
      lookup(map, key),
      is.eq(r0, 0).jump(counted),
    ]),
    steps.map(step => [fieldAt(base, offset + step, shape).load(r1), fieldAt(r0, step, shape).add(r1)]),
  ])
}
