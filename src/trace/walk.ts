import type { Fields, RecordMap, RecordValues } from '../../bpf-asm/index.js'
import type { Tracer } from './tracer.js'

/** A map that is walked, such as a `BpfMap`. */
export interface Source {
  batch(): { next(keys: Uint8Array, values: Uint8Array): number; readonly done: boolean }
}

/** Where the kernel writes the keys and values of a batch. */
export interface Room {
  readonly keys: Uint8Array
  readonly values: Uint8Array
}

/**
 * Walks over a whole map: for each batch asks for room for so many entries, lets the kernel fill it, and yields how many came. A bucket
 * of a hash that is larger than the room asks for more from then on. Throws SyscallError.
 */
export function* walk(source: Source, entries: number, roomFor: (entries: number) => Room): Generator<number, void> {
  for (const batch = source.batch(); !batch.done;) {
    const { keys, values } = roomFor(entries)
    let count: number
    try {
      count = batch.next(keys, values)
    } catch (error) {
      if (!isTooLarge(error)) throw error
      entries *= 2
      continue
    }
    yield count
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOSPC'
}

/**
 * The entries of a map of records, decoded: `for (const [{ port }, { bytes }] of recordsOf(tracer, flows))`. Throws SyscallError, and Error when the
 * tracer has no such map.
 */
export function* recordsOf<Type extends string, Key extends Fields, Value extends Fields>(
  tracer: Pick<Tracer, 'map'>, { name, key, value }: RecordMap<Type, Key, Value>,
): Generator<readonly [key: RecordValues<Key>, value: RecordValues<Value>], void> {
  for (const [keyView, valueView] of entries(tracer.map(name))) yield [key.decode(keyView), value.decode(valueView)]
}

/** Entries of a batch that are held in memory at once. */
const held = 1024

/** The entries of a map, each as views of a copy that is the caller's. Throws SyscallError. */
export function* entries(
  map: Source & { readonly keySize: number; readonly valueSize: number },
): Generator<readonly [key: DataView, value: DataView], void> {
  let room: Room | undefined
  const at = (bytes: Uint8Array, index: number, size: number) => new DataView(bytes.buffer, index * size, size)
  const roomFor = (entries: number) => room = { keys: new Uint8Array(entries * map.keySize), values: new Uint8Array(entries * map.valueSize) }
  for (const count of walk(map, held, roomFor)) {
    const { keys, values } = room!
    for (let index = 0; index < count; index++) yield [at(keys, index, map.keySize), at(values, index, map.valueSize)]
  }
}
