/**
 * Aggregates what the BPF program counted. The kernel writes batches of its map into this module's memory; here they are subtracted
 * from what was seen before, summed by group, and the first rows are picked. It knows bytes, not meanings: a grouping is a mask
 * over the identity, an order is the offset of a field. Host side: src/aggregate.ts.
 */
import { Key, Value } from '../layout'
import { Flow } from './flow'
import { Group } from './group'
import { resize } from './room'
import { Order, Select } from './select'

let keys: usize = 0
let values: usize = 0
let room: u32 = 0

/** Where the mask is, `Identity.size` bytes, all zero at first. */
export function mask(): usize {
  return Group.mask
}

/** Makes the buffers hold batches of so many entries. */
export function prepare(entries: u32): void {
  if (entries <= room) return
  room = entries
  keys = resize(keys, <usize>room * Key.size)
  values = resize(values, <usize>room * Value.size)
}

/** Where a batch's keys and values go. */
export function keysAt(): usize {
  return keys
}

export function valuesAt(): usize {
  return values
}

/** A walk over the kernel's map starts. */
export function begin(): void {
  Flow.begin()
}

/** Takes up a batch. */
export function ingest(count: u32): void {
  Flow.reserve(count)
  let key = keys
  let value = values
  for (let index: u32 = 0; index < count; index++) {
    Flow.ingest(key, value)
    key += Key.size
    value += Value.size
  }
}

/** Keys to delete from the kernel's map after the walk, how many, and how many of them are a socket's own. */
export function removedAt(): usize {
  return Flow.removed
}

export function removedCount(): u32 {
  return Flow.removedCount
}

export function endedCount(): u32 {
  return Flow.endedCount
}

/** Flows that are known. */
export function flows(): u32 {
  return Flow.count
}

/** What `pick` sorts by: see `Order`. */
export function order(offset: u32, size: u32, descending: bool): void {
  Order.offset = offset
  Order.size = size
  Order.descending = descending
}

/** Adds the first `limit` rows of a family, or of all if it is 0, to what was picked. */
export function pick(family: u32, limit: u32): void {
  Select.pick(<u16>family, limit)
}

/** The rows that were picked, and how many. They stay until rows are picked for the next frame. */
export function rowsAt(): usize {
  return Select.out
}

export function rowsCount(): u32 {
  return Select.count
}

/** All bytes of the frame. */
export function totalRx(): f64 {
  return <f64>Group.rx
}

export function totalTx(): f64 {
  return <f64>Group.tx
}

/** The next frame starts. */
export function clear(): void {
  Group.clear()
  Select.count = 0
}
