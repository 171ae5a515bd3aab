/**
 * Aggregates what the BPF program counted. The kernel writes batches of its map into this module's memory; here they are subtracted
 * from what was seen before and summed by group. When a frame is finished, the first rows of it are picked by this grouping or a coarser one,
 * any number of times, while the next frame is counted. It knows bytes, not meanings: a measure is an offset, a grouping is a mask over the
 * identity, an order is the offset of a field. Host side: src/frame/aggregate.ts.
 */
import { Key, Value } from '../layout'
import { Flow } from './flow'
import { coarse, finest } from './group'
import { Measure } from './measure'
import { resize } from './room'
import { Order, pickedSize, Select } from './select'

let keys: usize = 0
let values: usize = 0
let room: u32 = 0

/**
 * Defines the next measure, before all else: where a flow's value has it (u64), whether it only ever grows and so is subtracted and summed,
 * whether it is part of a row's total, and how a gauge is merged (`Merge`). Traffic comes first, then other counters, then gauges.
 */
export function measure(place: u32, isCounter: bool, isTraffic: bool, merge: u32): void {
  Measure.define(place, isCounter, isTraffic, merge)
}

/** Where the mask of the finest grouping is, and that of a coarser one: `Identity.size` bytes, all zero at first. */
export function finestMask(): usize {
  return finest.mask
}

export function coarseMask(): usize {
  return coarse.mask
}

/** Makes room for batches of so many entries. */
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

/** The frame in the making is finished, and the next one starts. */
export function next(): void {
  finest.next()
}

/** All amounts of the finished frame. */
export function totalsAt(): usize {
  return finest.shownTotals
}

/** Groups the rows of the finished frame by the coarser mask; `isOther` when it is not the mask of last time. */
export function regroup(isOther: bool): void {
  if (isOther) coarse.forget()
  coarse.regroup(finest)
}

/** What `pick` sorts by: see `Order`. */
export function order(offset: u32, size: u32, descending: bool): void {
  Order.offset = offset
  Order.size = size
  Order.descending = descending
}

/** Nothing is picked. */
export function beginPick(): void {
  Select.begin()
}

/** Adds the first `limit` rows of a family, or of all if it is 0, to what was picked: of the finest grouping, or as they were regrouped last. */
export function pick(isFinest: bool, family: u32, limit: u32): void {
  Select.pick(isFinest ? finest : coarse, <u16>family, limit)
}

/** The rows that were picked, how many, and the bytes of each. They stay until rows are picked again. */
export function rowsAt(): usize {
  return Select.out
}

export function rowsCount(): u32 {
  return Select.count
}

export function rowSize(): usize {
  return pickedSize()
}
