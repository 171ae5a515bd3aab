import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { UnsupportedError } from '../../syscall/index.js'
import { aggregateUrl } from '../asset.js'
import { Identity, Key, Value } from '../layout.js'
import { type Source, walk } from '../trace/index.js'
import { type Counts, inRow, type Measure, measures as known } from './measure.js'
import type { Sort } from './row.js'

/** The kernel's map of flows, which is walked and thinned. */
export interface FlowMap extends Source {
  deleteBatch(keys: Uint8Array, count: number): number
}

/** Which rows of a frame are wanted, and what is made of each. */
export interface Selection<Item> {
  /** `Identity.size` bytes: the bytes of an identity that distinguish rows, no more than the aggregate was loaded for. */
  readonly mask: Uint8Array
  readonly sort: Sort
  /** The first so many, of each family or of all. */
  readonly limit: number
  readonly byFamily: boolean
  /** Reads the row at `offset` (layout `Row`). The view is good for this call alone. */
  read(view: DataView, offset: number): Item
}

/** The host side of the WASM module. */
export interface Aggregate {
  /** Walks over the whole map, adds what is new to the frame in the making and deletes what is over. Throws what the map throws. */
  drain(map: FlowMap): void
  /** Finishes the frame in the making and begins the next. Returns the bytes of all its rows, and those since the start. */
  next(): { readonly total: Counts; readonly sinceStart: Counts }
  /** Rows of the frame that was finished last, in order; any number of times, whatever was drained since. Throws Error for a mask that is too fine. */
  pick<Item>(selection: Selection<Item>): Item[]
  /** How many rows that frame has by a mask. */
  count(mask: Uint8Array): number
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
  measure(place: number, isCounter: boolean, isTraffic: boolean, merge: number): void
  finestMask(): number
  coarseMask(): number
  prepare(entries: number): void
  keysAt(): number
  valuesAt(): number
  begin(): void
  ingest(count: number): void
  removedAt(): number
  removedCount(): number
  endedCount(): number
  flows(): number
  next(): void
  totalsAt(): number
  regroup(isOther: boolean): void
  shown(isFinest: boolean): number
  order(offset: number, size: number, descending: boolean): void
  beginPick(): void
  pick(isFinest: boolean, family: number, limit: number): void
  rowsAt(): number
  rowsCount(): number
  rowSize(): number
}

/** `Merge` in src/wasm/measure.ts. */
const merges: Readonly<Record<Measure['merge'], number>> = { sum: 0, max: 0, last: 1 }
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

/**
 * Loads the module for groupings that are no finer than `mask`, which has `Identity.size` bytes. Rows of just this grouping are picked as they were
 * counted; those of a coarser one are grouped again, once a frame. Throws UnsupportedError when the installation is damaged.
 */
export async function loadAggregate(mask: Uint8Array, measures: readonly Measure[] = known): Promise<Aggregate> {
  const instance = await instantiate(aggregateUrl)
  const wasm = instance.exports as unknown as Exports
  /** A view of the module's memory as it is now: when it grows, all views of it are void. */
  const view = (at: number, length: number) => new Uint8Array(wasm.memory.buffer, at >>> 0, length)
  const ordered = inRow(measures)
  for (const { from, merge, traffic = false } of ordered) wasm.measure(from, merge === 'sum', traffic, merges[merge])
  const finest = mask.slice()
  view(wasm.finestMask(), Identity.size).set(finest)
  wasm.next()

  const counters = ordered.filter(({ merge }) => merge === 'sum')
  const sumsOf = (sum: (name: string, index: number) => number) =>
    // Counters are named as `Counts` is made from their list.
    Object.fromEntries(counters.map(({ name }, index) => [name, sum(name, index)])) as unknown as Counts
  let sinceStart: Readonly<Record<string, number>> = sumsOf(() => 0)
  /** By what mask rows are grouped coarsely, and whether that is done in this frame. */
  let coarse = finest
  let isGrouped = false
  let entries = fewest
  let deleted = 0
  let ended = 0

  /** Room in the module's memory, which may grow for it; what was once needed is had from then on. */
  function roomFor(wanted: number) {
    entries = wanted
    wasm.prepare(entries)
    return { keys: view(wasm.keysAt(), entries * Key.size), values: view(wasm.valuesAt(), entries * Value.size) }
  }

  /** Sees to it that the rows of this frame are there by this mask; returns whether it is the finest. */
  function group(mask: Uint8Array): boolean {
    if (isSame(mask, finest)) return true
    if (isGrouped && isSame(mask, coarse)) return false
    if (mask.some((byte, index) => (byte & ~finest[index]!) !== 0)) throw new Error('the grouping is finer than the one by which rows were counted')
    const isOther = !isSame(mask, coarse)
    if (isOther) view(wasm.coarseMask(), Identity.size).set(coarse = mask.slice())
    wasm.regroup(isOther)
    isGrouped = true
    return false
  }

  return {
    drain(map) {
      if (wasm.flows() > 4 * entries) entries = Math.max(entries, Math.min(most, 2 * entries))
      wasm.begin()
      for (const count of walk(map, entries, roomFor)) wasm.ingest(count)
      const count = wasm.removedCount()
      if (count === 0) return
      map.deleteBatch(view(wasm.removedAt(), count * Key.size), count)
      deleted += count
      ended += wasm.endedCount()
    },
    next() {
      wasm.next()
      isGrouped = false
      const amounts = new DataView(wasm.memory.buffer, wasm.totalsAt() >>> 0, 8 * counters.length)
      const total = sumsOf((_, index) => Number(amounts.getBigUint64(8 * index, true)))
      const before = sinceStart
      sinceStart = sumsOf(name => before[name]! + (total as Readonly<Record<string, number>>)[name]!)
      return { total, sinceStart: sinceStart as unknown as Counts }
    },
    pick({ mask, sort: { offset, size, order }, limit, byFamily, read }) {
      const isFinest = group(mask)
      wasm.order(offset, size, order === 'descending')
      wasm.beginPick()
      for (const family of byFamily ? [4, 6] : [0]) wasm.pick(isFinest, family, Math.min(limit, everything))
      const [count, stride] = [wasm.rowsCount(), wasm.rowSize()]
      const rows = new DataView(wasm.memory.buffer, wasm.rowsAt() >>> 0, count * stride)
      return Array.from({ length: count }, (_, index) => read(rows, index * stride))
    },
    count: mask => wasm.shown(group(mask)) >>> 0,
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

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.every((byte, index) => byte === other[index])
}
