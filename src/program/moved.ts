import { type Code, type Field as Word, loadMapValue, mov, r1, r2, r3 } from '../../bpf-asm/index.js'
import { amount, mapName, stack, Stats } from './frame.js'

/** Two counters of bytes: a flow's, a slot's, or those of what was lost. */
export interface Counted {
  readonly tx: Word
  readonly rx: Word
}

/** What was moved: code that adds it to two counters. Clobbers r3. */
export type Moved = (to: Counted) => Code

/** `amount` was sent. */
export const tx: Moved = to => to.tx.add(amount)
/** `amount` was received. */
export const rx: Moved = to => to.rx.add(amount)
/** `amount` was sent and `stack.received` was received. */
export const both: Moved = to => [to.tx.add(amount), stack.received.load(r3), to.rx.add(r3)]

/** Where `count` leaves the address of all. */
const stats = Stats.in(r1)

/** Adds to one of the programs' counters about themselves; r1 points to them all. Clobbers r2. */
export function count(stat: keyof typeof Stats.fields, by = 1): Code {
  return [loadMapValue(r1, mapName.stats, 0), mov(r2, by), stats[stat].add(r2)]
}

/** Counts what was moved as lost: not charged to any process. Clobbers r1 to r3. */
export function lose(moved: Moved): Code {
  return [count('lostEvents'), moved({ tx: stats.lostTx, rx: stats.lostRx })]
}
