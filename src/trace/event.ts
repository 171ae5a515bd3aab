import {
  address, call, checkedName, type Code, fieldAt, is, loadMap, loadMapValue, type Located, located, mov, note, r0, r1, r10, r2, r3, unless,
} from '../../bpf-asm/index.js'
import type { MapSpec } from '../../syscall/index.js'
import { intervals } from './interval.js'
import type { Tracer } from './tracer.js'

/** The map beside a queue that counts what did not fit into it. */
const lostName = (queue: string) => `${queue}_lost`

/**
 * The maps for events of `size` bytes on their way from a program to user space, of which `room` can wait: a queue, which the kernel locks
 * itself, so that any number of processors may write while it is read (since Linux 4.20), and a count of those that found it full. `queue`
 * is the name, of at most 10 characters. Throws AssemblyError for a longer one.
 */
export function eventMaps(queue: string, size: number, room = 16384): readonly MapSpec[] {
  return [
    { name: queue, type: 'queue', keySize: 0, valueSize: size, maxEntries: room },
    { name: checkedName(lostName(queue)), type: 'array', keySize: 4, valueSize: 8, maxEntries: 1 },
  ]
}

/** Sends the event that begins at `at` of the stack, or counts it as lost. Clobbers r0 to r5. */
export function emit(queue: string, at: number): Code {
  return send(queue, located(r10, at, -at))
}

/** Sends an event, a record in memory that r6 to r10 locate, or counts it as lost when the queue is full. Clobbers r0 to r5. */
export function send(queue: string, event: Located): Code {
  return [
    note(`send the event to user space, by the queue ${queue}`, loadMap(r1, queue)),
    address(r2, event),
    mov(r3, 0),
    call('map_push_elem'),
    unless(is.eq(r0, 0), [
      note('the queue is full', loadMapValue(r1, lostName(queue), 0)),
      mov(r2, 1),
      fieldAt(r1, 0, 'u64').add(r2),
    ]),
  ]
}

/** The reader's end of a queue. */
export interface Events {
  /** Takes the events that wait, in the order in which they were sent, at most as many as the queue holds. Throws SyscallError. */
  take(): IterableIterator<DataView>
  /** How many were lost since it was asked last. */
  lost(): number
}

/** The events of a tracer that its programs `emit` into this queue. Throws when it has no such maps. */
export function eventsOf(tracer: Tracer, queue: string): Events {
  const events = tracer.map(queue)
  const lost = tracer.map(lostName(queue))
  let told = 0
  return {
    *take() {
      // No longer than that: those who send may be faster than we.
      for (let left = events.maxEntries; left > 0; left--) {
        const event = events.pop()
        if (event === undefined) return
        yield new DataView(event.buffer)
      }
    },
    lost() {
      const value = lost.lookup(new Uint8Array(4))
      if (value === undefined) throw new Error('an array map lost its value')
      const before = told
      told = Number(new DataView(value.buffer).getBigUint64(0, true))
      return told - before
    },
  }
}

/** Every event as it comes, looked for every tenth of a second, until `stop` aborts; `tellLost` hears of those that were lost. */
export async function* follow(events: Events, stop: AbortSignal, tellLost: (count: number) => void): AsyncGenerator<DataView, void> {
  for await (const _ of intervals(0.1, { stop })) {
    yield* events.take()
    const lost = events.lost()
    if (lost > 0) tellLost(lost)
  }
}
