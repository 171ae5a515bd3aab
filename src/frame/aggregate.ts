import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { UnsupportedError } from '../../syscall/index.js'
import { aggregateUrl } from '../asset.js'
import { Identity, Key, Row, Value } from '../layout.js'
import { type Source as Walked, walk } from '../trace/index.js'

/** A map that is walked and thinned, such as a `BpfMap`. */
export interface Source extends Walked {
  deleteBatch(keys: Uint8Array, count: number): number
}

/** What rows are sorted by: a field of `Row` and its bytes. Fields of 2 and 16 bytes sort as bytes, those of 4 and 8 as numbers. */
export interface Sort {
  readonly offset: number
  readonly size: 2 | 4 | 8 | 16
  readonly order: 'descending' | 'ascending'
}

/** The rows of a frame. */
export interface Taken {
  /** `count` rows of `Row.size` bytes, valid until the next call of any method. */
  readonly rows: DataView
  readonly count: number
  /** Bytes of all rows, taken or not. */
  readonly total: { readonly rx: number; readonly tx: number }
}

/** The host side of the WASM module. */
export interface Aggregate {
  /** Walks over the whole map, adds what is new to the frame in the making and deletes what is over. Throws what the source throws. */
  drain(source: Source): void
  /** The first `limit` rows in order, of each family or of all, and starts the next frame. */
  take(limit: number, sort: Sort, byFamily: boolean): Taken
  /** Flows that are known. */
  readonly flows: number
  /** Flows ever deleted from the map. */
  readonly deleted: number
  /** Of these, sockets' own entries, without the shares of other processes. */
  readonly ended: number
  /** Bytes of memory. */
  readonly bytes: number
}

/** What the module exports: src/wasm/index.ts. */
interface Exports {
  readonly memory: WebAssembly.Memory
  mask(): number
  prepare(entries: number): void
  keysAt(): number
  valuesAt(): number
  begin(): void
  ingest(count: number): void
  removedAt(): number
  removedCount(): number
  endedCount(): number
  flows(): number
  order(offset: number, size: number, descending: number): void
  pick(family: number, limit: number): void
  rowsAt(): number
  rowsCount(): number
  totalRx(): number
  totalTx(): number
  clear(): void
}

/** Entries of a batch at first, and at most for the sake of speed; a bucket that needs more gets more. */
const fewest = 1024
const most = 16384
const everything = 0xffffffff

/** Throws UnsupportedError when the file is not there or not whole. */
async function instantiate(file: URL): Promise<WebAssembly.Instance> {
  try {
    return (await WebAssembly.instantiate(readFileSync(file))).instance
  } catch (cause) {
    throw new UnsupportedError(`this installation is damaged: ${fileURLToPath(file)}: ${(cause as Error).message}: install it again, or run npm run build`, undefined, { cause })
  }
}

/** Loads the module for groups that are the same under `mask`, which has `Identity.size` bytes. */
export async function loadAggregate(mask: Uint8Array): Promise<Aggregate> {
  const instance = await instantiate(aggregateUrl)
  const wasm = instance.exports as unknown as Exports
  /** A view of the module's memory as it is now: when it grows, all views of it are void. */
  const view = (at: number, length: number) => new Uint8Array(wasm.memory.buffer, at >>> 0, length)
  view(wasm.mask(), Identity.size).set(mask)

  let entries = fewest
  let deleted = 0
  let ended = 0

  /** Room in the module's memory, which may grow for it; what was once needed is had from then on. */
  function roomFor(wanted: number) {
    entries = wanted
    wasm.prepare(entries)
    return { keys: view(wasm.keysAt(), entries * Key.size), values: view(wasm.valuesAt(), entries * Value.size) }
  }

  return {
    drain(source) {
      if (wasm.flows() > 4 * entries) entries = Math.max(entries, Math.min(most, 2 * entries))
      wasm.begin()
      for (const count of walk(source, entries, roomFor)) wasm.ingest(count)
      const count = wasm.removedCount()
      if (count === 0) return
      source.deleteBatch(view(wasm.removedAt(), count * Key.size), count)
      deleted += count
      ended += wasm.endedCount()
    },
    take(limit, { offset, size, order }, byFamily) {
      wasm.order(offset, size, order === 'descending' ? 1 : 0)
      for (const family of byFamily ? [4, 6] : [0]) wasm.pick(family, Math.min(limit, everything))
      const count = wasm.rowsCount()
      const rows = new DataView(wasm.memory.buffer, wasm.rowsAt() >>> 0, count * Row.size)
      const total = { rx: wasm.totalRx(), tx: wasm.totalTx() }
      wasm.clear()
      return { rows, count, total }
    },
    get flows() {
      return wasm.flows() >>> 0
    },
    get deleted() {
      return deleted
    },
    get ended() {
      return ended
    },
    get bytes() {
      return wasm.memory.buffer.byteLength
    },
  }
}
