import { entry, exit } from './function.js'
import { iterator, sweep } from './iterator.js'
import { kprobe } from './kprobe.js'
import type { AttachPoint, Load, Places, PointKind } from './point.js'
import { rawTracepoint } from './raw-tracepoint.js'
import { tracepoint } from './tracepoint.js'

export { firstArgument } from './kprobe.js'
export { type AttachPoint, byName, type Load, type Places, placesOf, type PointKind, type Signature } from './point.js'

/** All kinds of attach points, by what a `Point` calls them. */
export const pointKinds = { tracepoint, rawTracepoint, iterator, entry, exit, kprobe, sweep } as const

/**
 * Where a program runs. Raw tracepoints and kprobes are found by name, the others in the kernel's BTF.
 * - `{ tracepoint: NAME }`: at a tracepoint, with typed arguments
 * - `{ rawTracepoint: NAME }`: at a tracepoint
 * - `{ entry: NAME }`, `{ exit: NAME }`: when a function begins, when it returns, by ftrace
 * - `{ kprobe: NAME }`: when a function begins, by a breakpoint
 * - `{ iterator: NAME }`: once at the start, over all objects of a sort, such as `tcp` or `task_file`
 * - `{ sweep: NAME, map: NAME }`: over the entries of a map, whenever the tracer asks for it
 */
export type Point = Parameters<typeof pointKinds[keyof typeof pointKinds]['at']>[0]

/** The attach point that a literal such as `{ tracepoint: 'tcp_probe' }` means. Throws Error when it means none. */
export function pointOf(on: Point): AttachPoint {
  const found = Object.entries(pointKinds).find(([kind]) => kind in on)
  if (found === undefined) throw new Error(`no kind of attach point: ${JSON.stringify(on)}; there are ${Object.keys(pointKinds).join(', ')}`)
  return (found[1] as PointKind<Point>).at(on)
}

/** A point as one reads it: `tracepoint sock_send_length`. */
export function pointName(on: Point): string {
  return pointOf(on).name
}

/** What a program at a point is loaded as; undefined when the kernel has no such point. */
export function loadAt(on: Point, places: Places): Load | undefined {
  return pointOf(on).load(places)
}
