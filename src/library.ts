/**
 * The parts of a tracer: where programs run, start and close, walks over maps, events, intervals; and tcptop's accounting.
 * @module tcptop/trace
 */

export * from './trace/index.js'
export { type Accounting, type ClosedConnection, startAccounting } from './accounting.js'
