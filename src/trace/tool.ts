import { readFileSync } from 'node:fs'
import { endIn, endOnSignals, type Kernel, openKernel, relayOf, SyscallError, VerifierError } from '../../syscall/index.js'
import { advice, powerOf } from '../host/index.js'
import { printable } from './printable.js'
import { Scope } from './scope.js'

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

/** What a tool works with. */
export interface Bench {
  readonly kernel: Kernel
  /** What it opens: closed when it ends. */
  readonly scope: Scope
  /** Aborts when the user has seen enough. */
  readonly stop: AbortSignal
}

/**
 * Runs a command-line tool until its work is done, and closes what it opened. An error goes to stderr in one line, with advice when privileges are
 * missing, and the exit status is 1. A program that the verifier rejects is explained in several lines: the path to the instruction at fault, the
 * registers there, what the reason means and how to fix it. A closed pipe on stdout just ends the tool; any other error there is an error.
 */
export async function runTool(name: string, work: (bench: Bench) => Promise<void>): Promise<void> {
  const outputs = [relayOf(1), relayOf(2)] as const
  const fail = (error: Error) => {
    console.error(`${name}: stdout: ${error.message}`)
    process.exit(1)
  }
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    const cause = error.code === 'EPIPE' ? outputs[0].finish() : error
    if (cause === undefined) process.exit(0)
    fail(cause)
  })
  const scope = new Scope()
  try {
    await work({ kernel: openKernel(), scope, stop: interrupted() })
  } catch (error) {
    console.error(`${name}: ${failureText(error)}`)
    process.exitCode = 1
  } finally {
    scope.close()
  }
  for (const output of outputs) {
    const error = output.finish()
    if (error !== undefined) fail(error)
  }
}

/** What a tool prints about an error. Only missing privileges get advice: the rest of the advice is about tcptop's options. */
function failureText(error: unknown): string {
  if (!(error instanceof SyscallError)) return printable(error instanceof Error ? error.message : String(error))
  const line = printable(privileges.includes(error.code) ? `${error.message}${advice(error, powerOf(readText))}` : error.message)
  return error instanceof VerifierError ? `${line}\n${error.explanation.trimEnd()}` : line
}

const privileges = ['EPERM', 'EACCES', 'ENOSYS']

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}
