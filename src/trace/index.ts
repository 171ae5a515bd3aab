/** The parts of a tracer: where programs run, start and close, walks over maps, events, intervals. */

export type { Arguments } from './argument.js'
export { kernelBtf, readBtf, readBtfFile } from './kernel-btf.js'
export { type Connection, connectionOf, connectionSize, emitConnection, sendConnection, type Sending } from './connection.js'
export type { Ends } from './ends.js'
export { emit, eventMaps, type Events, eventsOf, follow, send } from './event.js'
export { type Clock, intervals, type Schedule, type Span, systemClock } from './interval.js'
export {
  type AttachPoint, byName, firstArgument, type Load, loadAt, type Places, placesOf, type Point, type PointKind, pointKinds, pointName, pointOf,
  type Signature,
} from './point/index.js'
export { cells, cut, jsonText, pad, printable } from './printable.js'
export { type Inputs, programAt, type ProgramPlan } from './program.js'
export { type PidNamespace, pidNamespace, whenProcess } from './process.js'
export { Scope } from './scope.js'
export { attach, type Refusal, startFirst, startTracer, type Surroundings, type Tracer, type TracerPlan } from './tracer.js'
export { addressText, cText } from './text.js'
export { type Bench, grace, interrupted, runTool } from './tool.js'
export { entries, recordsOf, type Room, type Source, walk } from './walk.js'
