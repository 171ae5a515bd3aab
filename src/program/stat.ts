import { atomicAdd, type Code, loadMapValue, mov, r1, r2, store } from '../../bpf-asm/index.js'
import { Flag, Stat, Value } from '../layout.js'
import { flow, mapName } from './context.js'

/** Adds to one of the counters that the program keeps about itself; r1 points to them all. Clobbers r2. */
export function count(stat: Stat, by = 1): Code {
  return [loadMapValue(r1, mapName.stats, 0), mov(r2, by), atomicAdd('u64', r1, stat, r2)]
}

/** The socket of `flow` is gone, or its connection is over: the entry will not change any more. Clobbers r1 and r2. */
export function markGone(): Code {
  return [store('u32', flow, Value.flags, Flag.gone), count(Stat.gone)]
}
