import { endIn, endOnSignals } from '../../syscall/index.js'

/** Seconds that the first signal leaves for what is still to be written. */
export const grace = 0.7

/**
 * Aborts on Ctrl-C, SIGTERM, or when the terminal is closed. From now on the first signal asks for the last interval, and
 * ends the process with status 0 after `grace` seconds, unless `endIn` takes that back; the second one ends it at once. Both do so whatever the
 * process is doing: it may be in a write that no process reads.
 */
export function interrupted(): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // Without the shim the second signal can only end what does not wait.
    process.on(signal, () => stop.signal.aborted ? process.exit(0) : stop.abort())
  }
  endOnSignals(grace)
  // As it exits, Node.js lets go of all signals: one that came then would kill the process.
  process.once('exit', () => endIn(undefined))
  return stop.signal
}
