import { Identity, RowLayout, Value } from '../layout'
import { Groups } from './group'
import { Measure } from './measure'
import { resize } from './room'

const family: usize = RowLayout.identity + Value.family - Identity.start
/** Bytes of an identity */
const size: usize = Identity.size

/** What rows are sorted by: a field of `Row`, its bytes, and whether the largest come first. */
export namespace Order {
  export let offset: usize = RowLayout.total
  export let size: u32 = 8
  export let descending: bool = true
}

/** Bytes of a row that is handed out: it has one set of amounts. */
export function pickedSize(): usize {
  return <usize>RowLayout.amounts + Measure.all
}

/** Picks the first rows in order with a heap of that many, whose root is the last of them: no more is sorted than is shown. */
export namespace Select {
  /** The rows that were picked, in order, and how many. */
  export let out: usize = 0
  export let count: u32 = 0
  let outRoom: u32 = 0
  /** Addresses of rows. */
  let places: usize = 0
  let placesRoom: u32 = 0
  /** Where the amounts of the frame that is picked from are, and the field to sort by, if that is not the total. */
  let amounts: usize = 0
  let field: usize = 0
  let mask: usize = 0

  /** Nothing is picked. */
  export function begin(): void {
    count = 0
  }

  /** Adds the first `limit` rows of a family, or of all if it is 0, of the finished frame to what was picked. */
  export function pick(groups: Groups, wanted: u16, limit: u32): void {
    amounts = Groups.amounts(groups.frame - 1)
    field = Order.offset < <usize>RowLayout.amounts ? Order.offset : Order.offset - RowLayout.amounts + amounts
    mask = groups.mask
    const most = min(limit, groups.shown)
    reserve(most)
    let used: u32 = 0
    const end = groups.rows + <usize>groups.count * Groups.stride
    for (let row = groups.rows; row < end; row += Groups.stride) {
      if (!groups.isShown(row)) continue
      if (wanted != 0 && load<u16>(row, family) != wanted) continue
      if (used < most) {
        rise(used++, row)
      } else if (most != 0 && comesBefore(row, at(0))) {
        sink(row, used)
      }
    }
    // The root is the last in order: rows are written from the end.
    const start = out + <usize>count * pickedSize()
    count += used
    while (used > 0) {
      const last = at(0)
      const rest = used - 1
      const to = start + <usize>rest * pickedSize()
      memory.copy(to, last, RowLayout.total)
      store<u64>(to, Measure.total(last + amounts), RowLayout.total)
      memory.copy(to + RowLayout.amounts, last + amounts, Measure.all)
      sink(at(rest), rest)
      used = rest
    }
  }

  function reserve(more: u32): void {
    if (outRoom < count + more) {
      outRoom = count + more
      out = resize(out, <usize>outRoom * pickedSize())
    }
    if (placesRoom < more) {
      placesRoom = more
      places = resize(places, <usize>placesRoom * sizeof<usize>())
    }
  }

  @inline
  function at(place: u32): usize {
    return load<usize>(places + <usize>place * sizeof<usize>())
  }

  @inline
  function put(place: u32, row: usize): void {
    store<usize>(places + <usize>place * sizeof<usize>(), row)
  }

  /** Puts a row at the end of the heap and lets it rise to where it belongs. */
  function rise(end: u32, row: usize): void {
    let place = end
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (!comesBefore(at(parent), row)) break
      put(place, at(parent))
      place = parent
    }
    put(place, row)
  }

  /** Puts a row at the root of a heap of `size` and lets it sink to where it belongs. */
  function sink(row: usize, size: u32): void {
    let place: u32 = 0
    while (true) {
      let child: u32 = 2 * place + 1
      if (child >= size) break
      if (child + 1 < size && comesBefore(at(child), at(child + 1))) child++
      if (!comesBefore(row, at(child))) break
      put(place, at(child))
      place = child
    }
    if (size > 0) put(place, row)
  }

  function comesBefore(one: usize, other: usize): bool {
    if (Order.offset != RowLayout.total) {
      const order = compare(one + field, other + field)
      if (order != 0) return order < 0 != Order.descending
    }
    const moved = Measure.total(one + amounts)
    const otherMoved = Measure.total(other + amounts)
    if (moved != otherMoved) return moved > otherMoved != (Order.offset == RowLayout.total && !Order.descending)
    return isSmaller(one + RowLayout.identity, other + RowLayout.identity)
  }

  /** Rows that tie keep their order from frame to frame: by the bytes of what a row is, which no two rows have in common. */
  function isSmaller(one: usize, other: usize): bool {
    for (let at: usize = 0; at < size; at += 8) {
      const counts = load<u64>(mask + at)
      const order = difference(bswap(load<u64>(one + at) & counts), bswap(load<u64>(other + at) & counts))
      if (order != 0) return order < 0
    }
    return false
  }

  /** Numbers of 4 and 8 bytes are in the machine's order; 2 bytes are ports and 16 are addresses or names, in the order of bytes. */
  function compare(one: usize, other: usize): i32 {
    switch (Order.size) {
      case 2:
        return <i32>bswap(load<u16>(one)) - <i32>bswap(load<u16>(other))
      case 4:
        return difference(load<u32>(one), load<u32>(other))
      case 8:
        return difference(load<u64>(one), load<u64>(other))
      default: {
        const upper = difference(bswap(load<u64>(one)), bswap(load<u64>(other)))
        return upper != 0 ? upper : difference(bswap(load<u64>(one, 8)), bswap(load<u64>(other, 8)))
      }
    }
  }

  @inline
  function difference(one: u64, other: u64): i32 {
    return <i32>(one > other) - <i32>(one < other)
  }
}
