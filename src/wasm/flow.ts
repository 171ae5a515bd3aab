import { Flag, Key, Value } from '../layout'
import { Group } from './group'
import { copy16, resize } from './room'

/**
 * What is known of a flow of the kernel's map: its key, what its counters were when it was last read, and whether it waits
 * for its end.
 *
 * An open-addressing table with linear probing; deletion moves what follows back, so that it never fills with tombstones however
 * many flows come and go. A cookie is never 0, which marks a free slot.
 */
const enum Slot {
  cookie = 0,
  pid = 8,
  port = 12,
  /** u16: whether an earlier walk found it to be over. */
  over = 14,
  tx = 16,
  rx = 24,
  size = 32,
}

const smallest: u32 = 1024

export namespace Flow {
  let table: usize = 0
  let capacity: u32 = 0

  /** Flows that are known. */
  export let count: u32 = 0
  /** Keys of the flows that are over, to be deleted from the kernel's map, how many, and how many of them are a socket's own. */
  export let removed: usize = 0
  export let removedCount: u32 = 0
  export let endedCount: u32 = 0
  let removedRoom: u32 = 0

  /** A new walk over the kernel's map starts. */
  export function begin(): void {
    removedCount = 0
    endedCount = 0
  }

  /** Room for `more` flows that are new. At most three quarters are used, so that a search is short. */
  export function reserve(more: u32): void {
    let wanted = max(capacity, smallest)
    while (wanted / 4 * 3 < count + more) wanted <<= 1
    if (wanted != capacity) rehash(wanted)
    if (removedRoom < removedCount + more) {
      removedRoom = max(removedRoom * 2, removedCount + more)
      removed = resize(removed, <usize>removedRoom * Key.size)
    }
  }

  /** Takes up an entry of the kernel's map: what it counted since it was read last goes to its group. */
  export function ingest(key: usize, value: usize): void {
    const cookie = load<u64>(key, Key.cookie)
    const who = load<u64>(key, Key.pid)
    const slot = find(cookie, who)
    if (load<u64>(slot, Slot.cookie) == 0) {
      copy16(slot, key)
      count++
    }
    const tx = load<u64>(value, Value.tx)
    const rx = load<u64>(value, Value.rx)
    const moreTx = tx - load<u64>(slot, Slot.tx)
    const moreRx = rx - load<u64>(slot, Slot.rx)
    if ((moreTx | moreRx) != 0) {
      store<u64>(slot, tx, Slot.tx)
      store<u64>(slot, rx, Slot.rx)
      Group.add(value, moreRx, moreTx)
    }
    if (!isOver(cookie, who, value)) {
      store<u16>(slot, 0, Slot.over)
    } else if (load<u16>(slot, Slot.over) == 0) {
      // It may have been read before its last bytes; the next walk reads them.
      store<u16>(slot, 1, Slot.over)
    } else {
      copy16(removed + <usize>removedCount * Key.size, key)
      removedCount++
      if (who == ownOf(who)) endedCount++
      free(slot)
    }
  }

  /** The socket's own entry says so; another process' share is over when the socket's own entry has gone. */
  function isOver(cookie: u64, who: u64, value: usize): bool {
    const own = ownOf(who)
    if (who == own) return (load<u32>(value, Value.flags) & Flag.gone) != 0
    return load<u64>(find(cookie, own), Slot.cookie) == 0
  }

  /** Port and no process: the socket's own entry. */
  @inline
  function ownOf(who: u64): u64 {
    return who & 0xffffffff00000000
  }

  /** Process and port of a slot, without what is ours. */
  @inline
  function whoOf(slot: usize): u64 {
    return load<u64>(slot, Slot.pid) & 0x0000ffffffffffff
  }

  /** Cookies are numbers in sequence: multiplying by the golden ratio spreads them. */
  @inline
  function home(cookie: u64, who: u64): u32 {
    const mixed = (cookie ^ rotl(who, 32)) * 0x9e3779b97f4a7c15
    return <u32>(mixed >> 32) & (capacity - 1)
  }

  /** The slot of a flow, or the free one where it belongs. */
  function find(cookie: u64, who: u64): usize {
    let index = home(cookie, who)
    while (true) {
      const slot = table + <usize>index * Slot.size
      const held = load<u64>(slot, Slot.cookie)
      if (held == 0 || (held == cookie && whoOf(slot) == who)) return slot
      index = (index + 1) & (capacity - 1)
    }
  }

  /** Empties a slot, and moves those after it back that would otherwise not be found any more. */
  function free(slot: usize): void {
    const last = capacity - 1
    let hole = <u32>((slot - table) / Slot.size)
    for (let index = (hole + 1) & last; ; index = (index + 1) & last) {
      const next = table + <usize>index * Slot.size
      const cookie = load<u64>(next, Slot.cookie)
      if (cookie == 0) break
      const distance = (index - home(cookie, whoOf(next))) & last
      if (distance >= ((index - hole) & last)) {
        memory.copy(table + <usize>hole * Slot.size, next, Slot.size)
        hole = index
      }
    }
    memory.fill(table + <usize>hole * Slot.size, 0, Slot.size)
    count--
  }

  function rehash(wanted: u32): void {
    const old = table
    const oldEnd = table + <usize>capacity * Slot.size
    const size = <usize>wanted * Slot.size
    table = heap.alloc(size)
    memory.fill(table, 0, size)
    capacity = wanted
    for (let slot = old; slot < oldEnd; slot += Slot.size) {
      const cookie = load<u64>(slot, Slot.cookie)
      if (cookie != 0) memory.copy(find(cookie, whoOf(slot)), slot, Slot.size)
    }
    if (old != 0) heap.free(old)
  }
}
