import { findNative } from './native.js'

/**
 * From now on SIGINT, SIGTERM and SIGHUP end the process with status 0, whatever its threads are doing: the first one when so many seconds have
 * passed, 0 for at once, the second one at once. Handlers that are there by now are still called, and may take it back by `endIn`. Without the
 * shim nothing changes.
 */
export function endOnSignals(seconds: number): void {
  findNative()?.endOn(Math.round(seconds * 1000))
}

/** Ends the process with status 0 when so many seconds have passed, whatever its threads are doing; undefined takes that back. */
export function endIn(seconds: number | undefined): void {
  findNative()?.endIn(Math.round((seconds ?? 0) * 1000))
}

/**
 * When `endOnSignals` or `endIn` end the process, its terminal gets back the modes that it has now and is sent `text`, at most 64 bytes; an empty one
 * takes that back. Returns false where there is no such terminal, or no shim.
 */
export function restoreAtEnd(text: string): boolean {
  return (findNative()?.restoreAtEnd(new TextEncoder().encode(text)) ?? -1) === 0
}
