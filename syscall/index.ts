/**
 * The kernel, typed: maps, programs and what they are attached to.
 * @module tcptop/syscall
 */

export { contentsOf } from './contents.js'
export { SyscallError, UnsupportedError, VerifierError } from './error.js'
export type { Descriptor } from './fd.js'
export { endIn, endOnSignals, restoreAtEnd } from './ending.js'
export { type Kernel, openKernel } from './kernel.js'
export type { Iterator } from './link.js'
export type { Batch, BpfMap, MapSpec, MapType, UpdateMode } from './map.js'
export type { AttachType, DebugInfo, Program, ProgramInfo, ProgramSpec, ProgramType } from './prog.js'
export { isBefore } from './version.js'
export { type Relay, relayOf } from './relay.js'
export type { RunInput, RunResult } from './run.js'
export type { Address, Socket, SocketSpec } from './socket.js'
export type { Annotations } from './verdict.js'
