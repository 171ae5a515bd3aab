import { Identity, Row, Value } from '../layout'
import { copy16, resize } from './room'

/** Where the comm lies in a row. */
const comm: usize = Row.identity + Value.comm - Identity.start
/** Bytes of an identity */
const size: usize = Identity.size
/** Of no use as a number of a group, which are indexes into `rows`. */
const nothing: u32 = 0

const smallest: u32 = 256

/** The rows of the frame in the making: flows whose identities are the same under the mask. */
export namespace Group {
  /** `Identity.size` bytes that say what of an identity counts. */
  export const mask: usize = memory.data(Identity.size)
  /** Rows as `Row` lays them out, in the order in which they appeared, and how many. */
  export let rows: usize = 0
  export let count: u32 = 0
  /** All bytes of the frame. */
  export let rx: u64 = 0
  export let tx: u64 = 0

  /** Rows that there is room for; the index has twice as many places of a u32: 1 + the number of the row. */
  let room: u32 = 0
  let index: usize = 0

  /** Adds bytes to the group that the flow with this value belongs to. */
  export function add(value: usize, moreRx: u64, moreTx: u64): void {
    if (count == room) grow()
    rx += moreRx
    tx += moreTx
    const identity = value + Identity.start
    const place = find(identity)
    let number = load<u32>(place)
    if (number == nothing) {
      number = ++count
      store<u32>(place, number)
      const fresh = row(number)
      for (let at: usize = 0; at < <usize>Row.identity; at += 8) store<u64>(fresh + at, 0)
      for (let at: usize = 0; at < size; at += 8) {
        store<u64>(fresh + at, load<u64>(identity + at) & load<u64>(mask + at), Row.identity)
      }
    }
    const group = row(number)
    store<u64>(group, load<u64>(group, Row.rx) + moreRx, Row.rx)
    store<u64>(group, load<u64>(group, Row.tx) + moreTx, Row.tx)
    store<u64>(group, load<u64>(group, Row.total) + moreRx + moreTx, Row.total)
    // The name is no part of what a process is; the last one seen is shown.
    copy16(group + comm, value + Value.comm)
  }

  /** The next frame starts. */
  export function clear(): void {
    if (count != 0) memory.fill(index, 0, <usize>room * 2 * sizeof<u32>())
    count = 0
    rx = 0
    tx = 0
  }

  @inline
  function row(number: u32): usize {
    return rows + <usize>(number - 1) * Row.size
  }

  /** The place in the index of the group of an identity, or the free one where it belongs. */
  function find(identity: usize): usize {
    const last = room * 2 - 1
    let at = hash(identity) & last
    while (true) {
      const place = index + <usize>at * sizeof<u32>()
      const number = load<u32>(place)
      if (number == nothing || isSame(identity, row(number))) return place
      at = (at + 1) & last
    }
  }

  function hash(identity: usize): u32 {
    let mixed: u64 = 0
    for (let at: usize = 0; at < size; at += 8) {
      mixed = rotl(mixed ^ (load<u64>(identity + at) & load<u64>(mask + at)), 29) * 0x9e3779b97f4a7c15
    }
    return <u32>(mixed >> 32)
  }

  function isSame(identity: usize, row: usize): bool {
    for (let at: usize = 0; at < size; at += 8) {
      const wanted = load<u64>(mask + at)
      if (wanted != 0 && (load<u64>(identity + at) & wanted) != (load<u64>(row + at, Row.identity) & wanted)) return false
    }
    return true
  }

  function grow(): void {
    room = max(room * 2, smallest)
    rows = resize(rows, <usize>room * Row.size)
    const bytes = <usize>room * 2 * sizeof<u32>()
    if (index != 0) heap.free(index)
    index = heap.alloc(bytes)
    memory.fill(index, 0, bytes)
    for (let number: u32 = 1; number <= count; number++) store<u32>(find(row(number) + Row.identity), number)
  }
}
