import { Identity, RowLayout, Value } from '../layout'
import { Measure } from './measure'
import { copy16, renew, resize } from './room'

/** Where the comm lies in an identity. */
const comm: usize = Value.comm - Identity.start
/** Bytes of an identity */
const size: usize = Identity.size
/** Where the two sets of amounts lie in a row. */
const sets: usize = RowLayout.total
/** Of no use as a number of a group, which are indexes into `rows`. */
const nothing: u32 = 0

const smallest: u32 = 256
/** How often all rows may be looked at in vain before it is cheaper to forget those that do not come again. */
const patience: u64 = 16

/**
 * The rows of one grouping: flows, or rows of a finer grouping, whose identities are the same under the mask. Amounts are added to the frame in
 * the making; those of the frame before it stay beside them and can be picked from. Rows of earlier frames stay, in the hope that they come again,
 * so that a flow finds the one that it had.
 */
@unmanaged
export class Groups {
  /** Rows as `Row` lays them out, each with two sets of amounts, in the order in which they appeared, and how many. */
  rows: usize = 0
  count: u32 = 0
  /** The number of the frame in the making. Odd ones have the second amounts, even ones the first. */
  frame: u32 = 2
  /** Rows of the frame in the making, and of the one before it. */
  made: u32 = 0
  shown: u32 = 0
  /** All amounts of each of the two frames. */
  totals: usize = 0

  /** Capacity in rows. */
  private room: u32 = 0
  /** An open-addressing table with linear probing, of numbers of rows, and its places: a power of two, at least twice the capacity. */
  private index: usize = 0
  private places: u32 = 0
  /** Rows that were looked at in vain since some were forgotten. */
  private idle: u64 = 0

  /** `mask` has `Identity.size` bytes that say what of an identity counts. */
  constructor(public mask: usize) {}

  /** Bytes of a row. */
  @inline
  static get stride(): usize {
    return sets + 2 * Measure.all
  }

  /** Where a row has its amounts of a frame. */
  @inline
  static amounts(frame: u32): usize {
    return sets + <usize>(frame & 1) * Measure.all
  }

  /** All amounts of the frame before the one in the making. */
  get shownTotals(): usize {
    return this.totalsOf(this.frame - 1)
  }

  /** Whether the row belongs to the frame before the one in the making. */
  @inline
  isShown(row: usize): bool {
    const frame = this.frame - 1
    return load<u32>(row + (frame & 1) * sizeof<u32>(), RowLayout.frames) == frame
  }

  /** Adds amounts to the group that this identity belongs to; `guess` may be its row's number, which is returned. */
  add(identity: usize, amounts: usize, guess: u32): u32 {
    const number = guess - 1 < this.count && this.isSame(identity, this.row(guess)) ? guess : this.search(identity)
    const row = this.row(number)
    const frame = this.frame
    const frameAt = row + <usize>(frame & 1) * sizeof<u32>()
    const isFirst = load<u32>(frameAt, RowLayout.frames) != frame
    if (isFirst) {
      store<u32>(frameAt, frame, RowLayout.frames)
      this.made++
    }
    const to = row + Groups.amounts(frame)
    const totals = this.totalsOf(frame)
    const counters = Measure.counters
    const all = Measure.all
    let at: usize = 0
    for (; at < counters; at += sizeof<u64>()) {
      const more = load<u64>(amounts + at)
      store<u64>(to + at, isFirst ? more : load<u64>(to + at) + more)
      store<u64>(totals + at, load<u64>(totals + at) + more)
    }
    for (; at < all; at += sizeof<u64>()) {
      const now = load<u64>(amounts + at)
      store<u64>(to + at, isFirst ? now : Measure.merge(at, load<u64>(to + at), now))
    }
    // The name is no part of what a process is; the last one seen is shown.
    copy16(row + RowLayout.identity + comm, identity + comm)
    return number
  }

  /** Adds all rows of the finished frame of a finer grouping, and finishes the frame with that. */
  regroup(finer: Groups): void {
    if (this.room == 0) this.layOut()
    const amounts = Groups.amounts(finer.frame - 1)
    const end = finer.rows + <usize>finer.count * Groups.stride
    for (let row = finer.rows; row < end; row += Groups.stride) {
      if (!finer.isShown(row)) continue
      store<u32>(row, this.add(row + RowLayout.identity, row + amounts, load<u32>(row, RowLayout.group)), RowLayout.group)
    }
    this.next()
  }

  /** The frame in the making is finished, and the next one starts. */
  next(): void {
    if (this.room == 0) this.layOut()
    this.idle += this.count - this.made
    this.shown = this.made
    this.made = 0
    this.frame++
    memory.fill(this.totalsOf(this.frame), 0, Measure.all)
    if (this.idle > patience * this.count) this.tidy()
  }

  /** Forgets all rows, as their identities are those of another mask. */
  forget(): void {
    if (this.index != 0) memory.fill(this.index, 0, <usize>this.places * sizeof<u32>())
    this.count = 0
    this.idle = 0
    this.made = 0
    this.shown = 0
  }

  @inline
  private totalsOf(frame: u32): usize {
    return this.totals + <usize>(frame & 1) * Measure.all
  }

  /** The row of an identity, which may be new. */
  private search(identity: usize): u32 {
    if (this.count == this.room) this.layOut()
    const place = this.find(identity)
    let number = load<u32>(place)
    if (number == nothing) {
      number = ++this.count
      store<u32>(place, number)
      const fresh = this.row(number)
      store<u64>(fresh, 0, RowLayout.frames)
      store<u64>(fresh, 0, RowLayout.group)
      for (let at: usize = 0; at < size; at += 8) {
        store<u64>(fresh + at, load<u64>(identity + at) & load<u64>(this.mask + at), RowLayout.identity)
      }
    }
    return number
  }

  @inline
  private row(number: u32): usize {
    return this.rows + <usize>(number - 1) * Groups.stride
  }

  /** The place in the index of the group of an identity, or the free one where it belongs. */
  private find(identity: usize): usize {
    const last = this.places - 1
    let at = this.hash(identity) & last
    while (true) {
      const place = this.index + <usize>at * sizeof<u32>()
      const number = load<u32>(place)
      if (number == nothing || this.isSame(identity, this.row(number))) return place
      at = (at + 1) & last
    }
  }

  private hash(identity: usize): u32 {
    const mask = this.mask
    let mixed: u64 = 0
    for (let at: usize = 0; at < size; at += 8) {
      mixed = rotl(mixed ^ (load<u64>(identity + at) & load<u64>(mask + at)), 29) * 0x9e3779b97f4a7c15
    }
    return <u32>(mixed >> 32)
  }

  private isSame(identity: usize, row: usize): bool {
    const mask = this.mask
    let difference: u64 = 0
    for (let at: usize = 0; at < size; at += 8) {
      difference |= (load<u64>(identity + at) ^ load<u64>(row + at, RowLayout.identity)) & load<u64>(mask + at)
    }
    return difference == 0
  }

  /** Forgets old rows, and makes the capacity half as many again as are left. */
  private layOut(): void {
    if (this.totals == 0) this.totals = renew(0, 2 * Measure.all)
    this.keepNew()
    this.room = max(smallest, (this.count + 1) / 2 * 3)
    this.rows = resize(this.rows, <usize>this.room * Groups.stride)
    this.places = smallest
    while (this.places < this.room * 2) this.places <<= 1
    this.index = renew(this.index, <usize>this.places * sizeof<u32>())
    this.fillIndex()
  }

  /** Forgets old rows. */
  private tidy(): void {
    this.keepNew()
    memory.fill(this.index, 0, <usize>this.places * sizeof<u32>())
    this.fillIndex()
  }

  /** Rows of neither the frame in the making nor the one before it are left out. */
  private keepNew(): void {
    let kept: u32 = 0
    for (let number: u32 = 1; number <= this.count; number++) {
      const row = this.row(number)
      const latest = max(load<u32>(row, RowLayout.frames), load<u32>(row, RowLayout.frames + sizeof<u32>()))
      if (this.frame - latest <= 1 && number != ++kept) memory.copy(this.row(kept), row, Groups.stride)
    }
    this.count = kept
    this.idle = 0
  }

  private fillIndex(): void {
    for (let number: u32 = 1; number <= this.count; number++) store<u32>(this.find(this.row(number) + RowLayout.identity), number)
  }
}

/** Rows by the finest grouping, made of flows, and by a coarser one, made of these. */
export const finest = new Groups(memory.data(Identity.size))
export const coarse = new Groups(memory.data(Identity.size))
