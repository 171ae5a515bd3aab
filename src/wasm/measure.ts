import { resize } from './room'

/** How a gauge of several flows becomes one. */
export const enum Merge {
  max = 0,
  last = 1,
}

/**
 * What is measured of a flow, as the host defines it: each measure has its number, and at that place an amount (u64) wherever there are amounts.
 * Counters that are traffic come first, then other counters, then gauges, so that each loop knows where to end.
 */
export namespace Measure {
  /** Bytes of the amounts of traffic, of all counters, and of all measures. */
  export let traffic: usize = 0
  export let counters: usize = 0
  export let all: usize = 0
  /** The amounts of the flow that is being read. */
  export let amounts: usize = 0
  /** u32 each: where a measure is in the value of a flow, and how a gauge is merged. */
  export let places: usize = 0
  let merges: usize = 0

  export function define(place: u32, isCounter: bool, isTraffic: bool, merge: u32): void {
    const at = all
    all += sizeof<u64>()
    if (isCounter) counters = all
    if (isTraffic) traffic = all
    amounts = resize(amounts, all)
    places = resize(places, all / 2)
    merges = resize(merges, all / 2)
    store<u32>(places + at / 2, place)
    store<u32>(merges + at / 2, merge)
  }

  /** What the value of a flow holds of the measure whose amount is `at` bytes behind the first; `places` are ours, which loops need not read again. */
  @inline
  export function read(value: usize, places: usize, at: usize): u64 {
    return load<u64>(value + load<u32>(places + at / 2))
  }

  /** What was moved in all, of these amounts. */
  @inline
  export function total(amounts: usize): u64 {
    const end = traffic
    let sum: u64 = 0
    for (let at: usize = 0; at < end; at += sizeof<u64>()) sum += load<u64>(amounts + at)
    return sum
  }

  /** A gauge of two flows. */
  @inline
  export function merge(at: usize, before: u64, now: u64): u64 {
    return load<u32>(merges + at / 2) == Merge.max ? max(before, now) : now
  }
}
