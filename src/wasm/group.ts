import { Identity, Row, Value } from '../layout'
import { copy16, renew, resize } from './room'

/** Where the comm lies in a row. */
const comm: usize = Row.identity + Value.comm - Identity.start
/** Bytes of an identity */
const size: usize = Identity.size
/** Of no use as a number of a group, which are indexes into `rows`. */
const nothing: u32 = 0

const smallest: u32 = 256
/** How often all rows may be looked at in vain before it is cheaper to make those anew that come again. */
const patience: u64 = 16

/**
 * The rows of the frame in the making: flows whose identities are the same under the mask. Rows of frames before stay, in
 * the hope that they come again, so that a flow finds the one that it had.
 */
export namespace Group {
  /** `Identity.size` bytes that say what of an identity counts. */
  export const mask: usize = memory.data(Identity.size)
  /** Rows as `Row` lays them out, in the order in which they appeared, and how many; those of this frame have its number. */
  export let rows: usize = 0
  export let count: u32 = 0
  export let frame: u32 = 1
  /** Rows of this frame. */
  export let shown: u32 = 0
  /** All bytes of the frame. */
  export let rx: u64 = 0
  export let tx: u64 = 0

  /** Capacity in rows. */
  let room: u32 = 0
  /** An open-addressing table with linear probing, of numbers of rows, and its places: a power of two, at least twice the capacity. */
  let index: usize = 0
  let places: u32 = 0
  /** Rows that were looked at in vain since all of them were forgotten. */
  let idle: u64 = 0

  /** Adds bytes to the group that the flow with this value belongs to; `guess` may be its row's number, which is returned. */
  export function add(value: usize, moreRx: u64, moreTx: u64, guess: u32): u32 {
    const identity = value + Identity.start
    const number = guess - 1 < count && isSame(identity, row(guess)) ? guess : search(identity)
    const group = row(number)
    if (load<u32>(group, Row.frame) != frame) {
      store<u32>(group, frame, Row.frame)
      store<u64>(group, 0, Row.rx)
      store<u64>(group, 0, Row.tx)
      store<u64>(group, 0, Row.total)
      shown++
    }
    rx += moreRx
    tx += moreTx
    store<u64>(group, load<u64>(group, Row.rx) + moreRx, Row.rx)
    store<u64>(group, load<u64>(group, Row.tx) + moreTx, Row.tx)
    store<u64>(group, load<u64>(group, Row.total) + moreRx + moreTx, Row.total)
    // The name is no part of what a process is; the last one seen is shown.
    copy16(group + comm, value + Value.comm)
    return number
  }

  /** The next frame starts. */
  export function clear(): void {
    idle += count - shown
    if (idle > patience * count) {
      memory.fill(index, 0, places * sizeof<u32>())
      count = 0
      idle = 0
    }
    frame++
    shown = 0
    rx = 0
    tx = 0
  }

  /** The row of an identity, which may be new. */
  function search(identity: usize): u32 {
    if (count == room) grow()
    const place = find(identity)
    let number = load<u32>(place)
    if (number == nothing) {
      number = ++count
      store<u32>(place, number)
      const fresh = row(number)
      store<u32>(fresh, frame - 1, Row.frame)
      for (let at: usize = 0; at < size; at += 8) {
        store<u64>(fresh + at, load<u64>(identity + at) & load<u64>(mask + at), Row.identity)
      }
    }
    return number
  }

  @inline
  function row(number: u32): usize {
    return rows + <usize>(number - 1) * Row.size
  }

  /** The place in the index of the group of an identity, or the free one where it belongs. */
  function find(identity: usize): usize {
    const last = places - 1
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
    let difference: u64 = 0
    for (let at: usize = 0; at < size; at += 8) {
      difference |= (load<u64>(identity + at) ^ load<u64>(row + at, Row.identity)) & load<u64>(mask + at)
    }
    return difference == 0
  }

  /** Forgets rows of neither this frame nor the last, and makes the capacity half as many again as are left. */
  function grow(): void {
    let kept: u32 = 0
    for (let number: u32 = 1; number <= count; number++) {
      if (frame - load<u32>(row(number), Row.frame) <= 1 && number != ++kept) memory.copy(row(kept), row(number), Row.size)
    }
    count = kept
    room = max(smallest, (count + 1) / 2 * 3)
    rows = resize(rows, <usize>room * Row.size)
    places = smallest
    while (places < room * 2) places <<= 1
    index = renew(index, places * sizeof<u32>())
    for (let number: u32 = 1; number <= count; number++) store<u32>(find(row(number) + Row.identity), number)
  }
}
