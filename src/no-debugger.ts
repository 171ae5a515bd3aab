/**
 * Imported before all else, for what it does: SIGUSR1 would open Node.js' debugger on a port of the loopback interface, and any local user who
 * connects there would run code as the user who started the program. The signal does nothing, and a debugger that is open, by NODE_OPTIONS or by a
 * signal that came before this line, is closed. The milliseconds before it are Node.js' own.
 */
import { createRequire } from 'node:module'

/** `close` of node:inspector is this very function, and to load that takes 2 ms. */
const { _debugEnd: closeDebugger } = process as { _debugEnd?: () => void }
const close = closeDebugger ?? createRequire(import.meta.url)('node:inspector').close as () => void

// It may be imported twice: by what users start, and by the program.
if (process.listenerCount('SIGUSR1') === 0) process.on('SIGUSR1', () => {})
close()
// A signal that came before is looked at by a thread of Node.js, which on a busy host may come to it later.
const waits = [...Array.from({ length: 12 }, (_, number) => 250 * number), 10_000]
for (const wait of waits) setTimeout(close, wait).unref()
