/**
 * The BPF programs: how a byte that a process moves over TCP becomes a byte in a row.
 *
 * ## Counting
 *
 * The kernel counts for us. Each socket has sequence numbers from which two totals follow (counter.ts):
 *
 *     queued   = bytes_acked + (write_seq - snd_una)       less the FIN     what processes sent
 *     consumed = bytes_received - (rcv_nxt - copied_seq)   less the FIN     what processes received
 *
 * A flow is the entry of a socket in the map `flows`. It keeps how much of each total is charged already: `txSeen` and `rxSeen`. A program that runs
 * while a process works on the socket reads a total, takes what is beyond `seen`, advances `seen`, and adds the difference to the counters of a
 * process, `tx` and `rx`:
 *
 *     kernel             program                                     maps                                  user space
 *
 *     socket             take                    charge              flows
 *     write_seq ────┐                                                  { cookie, 0, port }: the flow
 *     copied_seq ───┴──► total - seen = amount ──► who? ─┬─ owner ───────► tx, rx of its owner ────────┐
 *                          ▲       │                     │             { cookie, pid, port }: a share  ├──► drain ──► rows
 *                          └───────┘                     ├─ another ─────► tx, rx of that process ─────┘
 *                        seen = total                    │           stats
 *                                                        └─ no space ────► lostTx, lostRx ───────────────► "lost"
 *
 * Nothing depends on what a call was asked to move. A program that the kernel skips, or that is attached late, loses nothing: the next one takes the
 * whole difference. No byte counts twice, because `seen` only advances, by compare-and-exchange wherever two CPUs may take at once (`isAlone` in
 * context.ts). The counters are never reset while the socket lives; user space subtracts.
 *
 * ## The life of a connection
 *
 *     connect, accept          send, receive                  shutdown, FIN, close         socket freed
 *     ─────┬───────────────────────┬──────────────────────────────┬───────────────────────────┬──────►
 *       stateSet             sentLocked, consumedBy            stateSet                   destroyed
 *          │                 or released,                         │                           │
 *          │                 or sent, received, transmitted       │                           │
 *          ▼                       ▼                              ▼                           ▼
 *       enter: a flow,       find, write back, take, charge    txEnd: what was queued      charge the rest,
 *       seen = where         (no flow: enter first)            when it was connected       mark the flow gone
 *       counting starts
 *
 * 1. **Enter** (enter.ts). A socket leaves its handshake, or a hook finds one without a flow. `fill`, `identify` and `baseline` make the value on the
 *    stack: who it connects, and from where it counts. A new connection counts from 0 (or 1: the SYN). One that is older than the programs counts from
 *    its present totals, and is found by the iterators of seed.ts. Between the two: once all old sockets are found (`Known.found`), an unknown socket
 *    is a new one whose beginning was missed, so all of it counts.
 * 2. **Find, write back, take, charge** (flow.ts). The skeleton of every hook that reads totals, `withFlow`. What differs is which total is taken and
 *    how the socket came to the hook.
 * 3. **End** (life.ts). A closed socket's `write_seq` no longer says whether it includes a FIN, so `txEnd` keeps the last total that was certain. The
 *    flow is marked gone when the socket is freed or connects elsewhere. User space deletes it, with its shares, after it has read it.
 *
 * ## Who is charged
 *
 * charge.ts decides. In this order:
 *
 * - No process is at work (the lock is the kernel's, or the current task is a kernel thread): the process that used the socket **last**. If no process
 *   ever did, the kernel itself. A process that is only expected to move bytes, such as the one that has the file open, is `last` too.
 * - The current process is the **owner**, the first that moved bytes: it counts in the flow.
 * - It is another one: it gets a **share**, an entry beside the flow whose key has its pid.
 * - The map is full: the bytes are counted as **lost** (moved.ts). What is still known of the socket is kept beside the flow, in `sockets`
 *   (`Counters`), so that the same bytes are not found again; this state is called spilled.
 *
 * With a filter of processes (filter.ts, admit.ts), a socket that no wanted process used has no flow either: it is followed in `sockets` until one does.
 * An unwanted process becomes `last` as `Pid.filtered`, so that what the kernel moves for it is not charged to anybody.
 *
 * ## Slots
 *
 * Most sockets are used by one process. From its second call on it has a slot (slot.ts): a place in an array that a hash of the socket picks, where it counts
 * without a search in any map. A slot is ahead of its flow, so every other program writes it back first, and a **flush** empties all slots into the
 * flows before each **drain**, in which user space reads the map.
 *
 * ## What programs miss
 *
 * Bytes that no program saw, such as those of a call that was in the kernel before the programs were attached, are found by the audit (audit.ts): it
 * walks over the flows, reads both totals twice without a lock, and charges what is beyond `seen` to `last`.
 *
 * Some sockets' TCP counters do not say what a process moved. A socket in a sockmap, an urgent byte and, on some kernels, an MPTCP socket are counted by
 * what calls return (result.ts). Other MPTCP sockets have counters of their own (mptcp.ts).
 *
 * ## To change the counting
 *
 * | to change | see |
 * |---|---|
 * | what bytes are, how a total is read, races between CPUs | counter.ts |
 * | from where a socket counts when first seen | `baseline` in enter.ts, `Origin` in entry.ts |
 * | who is charged | charge.ts |
 * | what a flow says about its connection or process | entry.ts, src/layout.ts and `Flow` in frame.ts |
 * | another number per flow | a field in src/layout.ts and `Flow`, zeroed in `fill`; add to it where it is known, as `Moved` does |
 * | what the programs count about themselves | `Stat` in src/layout.ts, `Stats` in frame.ts, `count` in moved.ts |
 * | how the kernel's memory is read: typed pointers, casts, copies | access.ts: typed.ts, probed.ts, address.ts, reading.ts |
 * | where programs run, and which kernel has what | src/backend |
 *
 * Registers with one meaning, the stack and all records are in frame.ts: r6 `socket`, r7 `amount`, r8 `flow`, r9 `task`. test/program runs all of this
 * without a kernel: a model of sockets moves bytes at random and compares each row (`node dist/tools/test.js program/`).
 * @module
 */

export type { Access, Cast } from './access.js'
export { audited, settled } from './audit.js'
export { type Call, callOf, type Context } from './context.js'
export { type KernelFields, fieldsOf } from './field.js'
export { choosesProcesses, type Filter, type PidNamespace, wantedOf } from './filter.js'
export { Known, mapName } from './frame.js'
export { destroyed, stateSet } from './life.js'
export { releasedMptcp, sentWithSyn } from './mptcp.js'
export { keptNames, renamed } from './name.js'
export { cast, probed } from './probed.js'
export { consumedBy } from './receive.js'
export { released } from './release.js'
export { received, receivedFrom, receivedFromMap, sentTo, sentToMap } from './result.js'
export { seedFile, seedSocket } from './seed.js'
export { sent, sentLocked, transmitted } from './send.js'
export { flushed, pages, renamesSize, slotsSize } from './slot.js'
export { typed } from './typed.js'
