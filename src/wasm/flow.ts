import { Flag, Identity, Key, Value } from '../layout'
import { finest } from './group'
import { Measure } from './measure'
import { copy16, renew, resize } from './room'

/**
 * What is known of a flow of the kernel's map: its key, what its counters were when it was last read, and whether it waits
 * for its end. A cookie is never 0, which marks one that is over.
 */
const enum Slot {
  cookie = 0,
  pid = 8,
  port = 12,
  /** u16: whether an earlier walk found it to be over. */
  over = 14,
  /** u32: the slot of the flow that came next in the last walk. */
  next = 16,
  /** u32: the number of the row that its bytes went to last. */
  row = 20,
  /** u64 each: the counters as they were read last. */
  counters = 24,
}

const smallest: u32 = 1024

/**
 * The kernel hands its entries out in an order that hardly changes from walk to walk, and memory is fast where it is read in order.
 * So the slots lie in the order of a walk, those of flows that came since at the end, and each says which one to guess next; a
 * guess is compared as a whole, and where it is wrong the index has the answer. What is over leaves its slot and its place in the
 * index unused, until there is no room and the slots are laid out anew.
 */
export namespace Flow {
  /** Slot number 0 is no flow: it has the guess at the first. */
  let slots: usize = 0
  /** Slots that there are, and of these the first that are not free. */
  let room: u32 = 0
  let used: u32 = 0
  /** An open-addressing table with linear probing, of numbers of slots, and its last place; 0 is a free place. */
  let index: usize = 0
  let last: u32 = 0
  /** The slot of the flow that was met last. */
  let here: usize = 0

  /** Flows that are known. */
  export let count: u32 = 0
  /** Keys of the flows that are over, to be deleted from the kernel's map, how many, and how many of them are a socket's own. */
  export let removed: usize = 0
  export let removedCount: u32 = 0
  export let endedCount: u32 = 0
  let removedRoom: u32 = 0

  /** A new walk over the kernel's map starts. */
  export function begin(): void {
    here = slots
    removedCount = 0
    endedCount = 0
  }

  /** Room for `more` flows that are new. */
  export function reserve(more: u32): void {
    if (room - used < more) layOut(more)
    if (removedRoom < removedCount + more) {
      removedRoom = max(removedRoom * 2, removedCount + more)
      removed = resize(removed, <usize>removedRoom * Key.size)
    }
  }

  /** Takes up an entry of the kernel's map: what it counted since it was read last goes to its group. */
  export function ingest(key: usize, value: usize): void {
    const cookie = load<u64>(key, Key.cookie)
    const who = load<u64>(key, Key.pid)
    const slot = meet(cookie, who)
    if (hasMoved(slot, value)) {
      store<u32>(slot, finest.add(value + Identity.start, Measure.amounts, load<u32>(slot, Slot.row)), Slot.row)
    }
    if (!isOver(cookie, who, value)) {
      if (load<u16>(slot, Slot.over) != 0) store<u16>(slot, 0, Slot.over)
    } else if (load<u16>(slot, Slot.over) == 0) {
      // It may have been read before its last bytes; the next walk reads them.
      store<u16>(slot, 1, Slot.over)
    } else {
      copy16(removed + <usize>removedCount * Key.size, key)
      removedCount++
      if (who == ownOf(who)) endedCount++
      store<u64>(slot, 0, Slot.cookie)
      count--
    }
  }

  /** Reads the amounts of a flow. Returns whether any counter has changed since it was read last. */
  @inline
  function hasMoved(slot: usize, value: usize): bool {
    const counters = Measure.counters
    const places = Measure.places
    let changed: u64 = 0
    for (let at: usize = 0; at < counters; at += sizeof<u64>()) {
      changed |= Measure.read(value, places, at) ^ load<u64>(slot + at, Slot.counters)
    }
    if (changed == 0) return false
    const amounts = Measure.amounts
    for (let at: usize = 0; at < counters; at += sizeof<u64>()) {
      const now = Measure.read(value, places, at)
      store<u64>(amounts + at, now - load<u64>(slot + at, Slot.counters))
      store<u64>(slot + at, now, Slot.counters)
    }
    for (let at = counters; at < Measure.all; at += sizeof<u64>()) store<u64>(amounts + at, Measure.read(value, places, at))
    return true
  }

  /** Bytes of a slot. */
  @inline
  function size(): usize {
    return <usize>Slot.counters + Measure.counters
  }

  /** The socket's own entry says so; another process' share is over when the socket's own entry has gone. */
  function isOver(cookie: u64, who: u64, value: usize): bool {
    const own = ownOf(who)
    if (who == own) return (load<u32>(value, Value.flags) & Flag.gone) != 0
    return load<u32>(find(cookie, own)) == 0
  }

  /** Port and no process: the socket's own entry. */
  @inline
  function ownOf(who: u64): u64 {
    return who & 0xffffffff00000000
  }

  @inline
  function at(number: u32): usize {
    return slots + <usize>number * size()
  }

  /** Process and port of a slot, without what is ours. */
  @inline
  function whoOf(slot: usize): u64 {
    return load<u64>(slot, Slot.pid) & 0x0000ffffffffffff
  }

  @inline
  function holds(slot: usize, cookie: u64, who: u64): bool {
    return load<u64>(slot, Slot.cookie) == cookie && whoOf(slot) == who
  }

  /** The slot of the flow that the walk has come to, which may be new. */
  @inline
  function meet(cookie: u64, who: u64): usize {
    const guess = at(load<u32>(here, Slot.next))
    here = holds(guess, cookie, who) ? guess : search(cookie, who)
    return here
  }

  /** The same where the guess was wrong. */
  function search(cookie: u64, who: u64): usize {
    const place = find(cookie, who)
    let number = load<u32>(place)
    if (number == 0) {
      number = used++
      count++
      store<u32>(place, number)
      store<u64>(at(number), cookie, Slot.cookie)
      store<u64>(at(number), who, Slot.pid)
      // What is new has come between two that are not.
      store<u32>(at(number), load<u32>(here, Slot.next), Slot.next)
    }
    store<u32>(here, number, Slot.next)
    return at(number)
  }

  /** The place in the index of a flow, or the free one where it belongs. Cookies are numbers in sequence: the golden ratio spreads them. */
  function find(cookie: u64, who: u64): usize {
    let hash = <u32>((cookie ^ rotl(who, 32)) * 0x9e3779b97f4a7c15 >> 32)
    while (true) {
      const place = index + <usize>(hash & last) * sizeof<u32>()
      const number = load<u32>(place)
      if (number == 0 || holds(at(number), cookie, who)) return place
      hash++
    }
  }

  /** Lays the flows out anew, in the order in which they were met, with room for `more` and half as many again. */
  function layOut(more: u32): void {
    const old = slots
    const oldHere = here
    const oldUsed = used
    room = max(smallest, (count + more + 1) / 2 * 3)
    slots = renew(0, <usize>room * size())
    used = 1
    here = slots
    // At most three quarters of the index are used, so that a search is short.
    let places = smallest
    while (places / 4 * 3 < room) places <<= 1
    last = places - 1
    index = renew(index, <usize>places * sizeof<u32>())
    for (let number: u32 = 0; number < oldUsed; number++) move(old, number, oldHere)
    if (old != 0) heap.free(old)
  }

  /** Moves an old slot and those that follow by its guess and theirs, up to one from which that was done before: guesses may lead in circles. */
  function move(old: usize, start: u32, oldHere: usize): void {
    let number = start
    do {
      const slot = old + <usize>number * size()
      number = load<u32>(slot, Slot.next)
      store<u32>(slot, 0, Slot.next)
      const cookie = load<u64>(slot, Slot.cookie)
      if (cookie != 0) {
        memory.copy(at(used), slot, size())
        store<u32>(at(used - 1), used, Slot.next)
        store<u32>(find(cookie, whoOf(slot)), used++)
        store<u64>(slot, 0, Slot.cookie)
        if (slot == oldHere) here = at(used - 1)
      }
    } while (number != 0)
  }
}
