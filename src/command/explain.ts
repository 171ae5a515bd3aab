import { SyscallError, UnsupportedError, VerifierError } from '../../syscall/index.js'
import { PlanError } from '../backend/index.js'
import { advice, powerOf } from '../host/index.js'
import { printable } from '../trace/index.js'
import { UsageError } from '../usage-error.js'

/** Whether nobody reads our output any more. */
export function isClosedPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE' && !(error instanceof SyscallError)
}

/** One line: what happened and, where there is something to do, what. */
export function explain(error: unknown, verbose: boolean, readText: (path: string) => string | undefined): string {
  if (error instanceof SyscallError) {
    const line = printable(`${error.message}${advice(error, powerOf(readText))}`)
    return verbose && error instanceof VerifierError ? `${line}\n${error.explanation}\n\n${error.log}` : line
  }
  if (error instanceof UsageError || error instanceof UnsupportedError || error instanceof PlanError) return printable(error.message)
  return error instanceof Error ? (verbose ? error.stack ?? error.message : printable(error.message)) : printable(String(error))
}
