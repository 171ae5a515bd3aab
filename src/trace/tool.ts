import { type Kernel, openKernel } from '../../syscall/index.js'
import { Scope } from './scope.js'
import { interrupted } from './stop.js'

/** What a tool works with. */
export interface Bench {
  readonly kernel: Kernel
  /** What it opens: closed when it ends. */
  readonly scope: Scope
  /** Aborts when the user has seen enough. */
  readonly stop: AbortSignal
}

/**
 * Runs a tool of the command line until it has done its work, and closes what it has opened. What it throws is told on stderr in one line,
 * and makes the exit status 1; a pipe that nobody reads any more just ends it.
 */
export async function runTool(name: string, work: (bench: Bench) => Promise<void>): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(0)
  })
  const scope = new Scope()
  try {
    await work({ kernel: openKernel(), scope, stop: interrupted() })
  } catch (error) {
    console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  } finally {
    scope.close()
  }
}
