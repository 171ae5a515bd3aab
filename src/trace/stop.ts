/**
 * Aborts when the user has seen enough: Ctrl-C, SIGTERM, or the terminal is gone. The first signal asks for the last interval; the second
 * ends the process, without waiting for whoever does not read what it prints.
 */
export function interrupted(): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stop.signal.aborted ? process.exit(0) : stop.abort())
  }
  return stop.signal
}
