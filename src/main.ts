import { explain, isClosedPipe, obey, type World } from './command/index.js'
import { printable } from './trace/index.js'
import { UsageError } from './usage-error.js'

export type { World } from './command/index.js'

/** Runs the program and returns its exit status: 0, 1 when the kernel refuses, or the doctor says that it would, 2 for wrong usage. */
export async function main(argv: readonly string[], outside: World): Promise<number> {
  const world: World = { ...outside, log: text => outside.log(text.split('\n').map(printable).join('\n')) }
  let isVerbose = false
  try {
    return await obey(argv, world, verbose => (isVerbose = verbose))
  } catch (error) {
    if (isClosedPipe(error)) return 0
    world.log(`tcptop: ${explain(error, isVerbose, world.readText)}`)
    return error instanceof UsageError ? 2 : 1
  }
}
