import {
  add, atomicAdd, type Code, jeq, jeq32, jne, jsle32, label, load, mov, note, or, r0, r1, r2, r4, r5, r6, r9, r10, store, sub32, xchg,
} from '../../bpf-asm/index.js'
import { Key, Value } from '../layout.js'
import { leave, type Moved, nobody } from './charge.js'
import { amount, type Context, flow, socket, stack, state } from './context.js'
import { consumed, unknownEnd } from './counter.js'
import { admit } from './filter.js'

/**
 * A pocket is where a process that has a socket to itself counts what it moves: the socket's storage, which is found with a quarter of the
 * instructions that a look into the hash takes. It is laid out as a `Value` up to the name. `pid` is whose it is, or nobody's; `tx` and `rx` are
 * what the entry of the flow does not have yet. The socket's lock is held whenever it is used. It is settled, and is nobody's, before
 * anything else is done with the socket's entry; and what is in it goes to the entry before each walk over the flows.
 */
export const pocketSize = Value.laddr

/** What a pocket has of its flow: flags and isn, what was seen, pid, the name. */
const kept = [Value.flags, Value.txSeen, Value.rxSeen, Value.pid, Value.comm, Value.comm + 8]
/** u32: `copied_seq` less all that was ever consumed, the same as long as no FIN has been received. In the place of `last`. */
const firstReceived = Value.last

/**
 * Ends the program when `socket` has a pocket and the current process is whose it is: the `amount` that `take` finds is counted there. For
 * `take`, `flow` is the pocket; it goes to `unpocketed` in all but the simplest case.
 */
export function countInPocket(context: Context, take: Code, moved: Moved): Code {
  const { access, filter, pocket } = context
  return !pocket ? [] : [
    note('the socket’s pocket, if it is ours', access.spill(false)),
    jeq(r0, 0, 'unpocketed'),
    mov(flow, r0),
    access.current(),
    access.tgid(r1),
    load(r2, 'u32', flow, Value.pid),
    jne(r2, r1, 'unpocketed'),
    // A process that was wanted by its id still is; it may have left its cgroup or namespace.
    admit({ ...context, filter: { ...filter, pids: [] } }, 'unpocketed'),
    access.comm(),
    load(r2, 'u64', flow, Value.comm),
    jne(r2, r4, 'unpocketed'),
    load(r2, 'u64', flow, Value.comm + 8),
    jne(r2, r5, 'unpocketed'),
    take,
    moved(flow, Value.tx, Value.rx),
    leave(),
    label('unpocketed'),
  ]
}

/**
 * What was queued since, if it is what the call returned. The lower halves tell, for that is never as much as they hold; and `write_seq` alone
 * does, for with a FIN, which it counts too, it would be one more.
 */
export function sentFromPocket({ access, field }: Context): Code {
  return [
    access.read(r1, field.writeSeq, socket),
    load(r2, 'u32', flow, Value.isn),
    sub32(r1, r2),
    load(r2, 'u64', flow, Value.txSeen),
    sub32(r1, r2),
    jne(r1, amount, 'unpocketed'),
    add(r2, amount),
    store('u64', flow, Value.txSeen, r2),
  ]
}

/** `amount =` what was consumed since, by the process itself, while no FIN has arrived; goes to `none` without any. */
export function receivedFromPocket({ access, field }: Context, none: string): Code {
  return [
    access.read(r1, field.owned, socket),
    note('without an owner the lock is the kernel’s', jeq(r1, 0, 'unpocketed')),
    access.read(r1, field.state, socket),
    jne(r1, state.established, 'unpocketed'),
    access.read(amount, field.copiedSeq, socket),
    load(r2, 'u32', flow, firstReceived),
    sub32(amount, r2),
    load(r2, 'u64', flow, Value.rxSeen),
    sub32(amount, r2),
    jsle32(amount, 0, none),
    add(r2, amount),
    store('u64', flow, Value.rxSeen, r2),
  ]
}

/** Gives `socket` a pocket, of the process that owns `flow`, if that is the socket's own entry and whoever used the socket last, r1, owns it. */
export function makePocket(context: Context): Code {
  const { access, field, pocket } = context
  return !pocket ? [] : [
    load(r2, 'u32', flow, Value.pid),
    jne(r2, r1, 'pocketed'),
    note('a share has none', load(r1, 'u32', r10, stack.key + Key.pid)),
    jne(r1, 0, 'pocketed'),
    load(r1, 'u32', flow, Value.flags),
    jne(r1, 0, 'pocketed'),
    access.read(r1, field.state, socket),
    jne(r1, state.established, 'pocketed'),
    Array.from({ length: pocketSize / 8 }, (_, index) => store('u64', r10, stack.value + 8 * index, 8 * index === Value.txEnd ? unknownEnd : 0)),
    access.spill(true),
    jeq(r0, 0, 'pocketed'),
    kept.map(offset => [load(r1, 'u64', flow, offset), store('u64', r0, offset, r1)]),
    consumed(context, 'pocket'),
    sub32(r2, r1),
    store('u32', r0, firstReceived, r2),
    label('pocketed'),
  ]
}

/** After `find`: `flow` has all that was counted, and a pocket is nobody's. */
export function settle({ access, pocket }: Context, name: string): Code {
  const settled = `${name}_settled`
  return !pocket ? [] : [
    note('what is in a pocket', access.spill(false)),
    jeq(r0, 0, settled),
    load(r1, 'u32', r0, Value.pid),
    jeq32(r1, nobody, settled),
    store('u32', r0, Value.pid, nobody),
    [Value.txSeen, Value.rxSeen].map(offset => [load(r1, 'u64', r0, offset), store('u64', flow, offset, r1)]),
    empty(r0),
    label(settled),
  ]
}

/** Every pocket (`iter/bpf_sk_storage_map`), without locks: what is in it goes to its flow. */
export function emptied({ access }: Context): Code {
  return [
    note('struct bpf_iter__bpf_sk_storage_map', load(r6, 'u64', r1, 16)),
    jeq(r6, 0, 'exit'),
    access.asTcp(r6, 'exit'),
    access.spill(false),
    jeq(r0, 0, 'exit'),
    mov(r9, r0),
    load(r1, 'u64', r9, Value.tx),
    load(r2, 'u64', r9, Value.rx),
    or(r1, r2),
    jeq(r1, 0, 'exit'),
    access.find(),
    jeq(r0, 0, 'exit'),
    empty(r9),
    label('exit'),
    leave(),
  ]
}

/** Whoever takes something out of a pocket is the only one to add it to `flow`. */
function empty(pocket: typeof r0): Code {
  return [Value.tx, Value.rx].map(offset => [mov(r1, 0), xchg('u64', pocket, offset, r1), atomicAdd('u64', flow, offset, r1)])
}
