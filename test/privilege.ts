import { openKernel } from '../syscall/index.js'

/** Why programs cannot be loaded here, or undefined when they can: asked of the kernel itself, with the smallest program there is. */
export function whyUnprivileged(): string | undefined {
  const exit = Uint8Array.of(0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0)
  try {
    openKernel().loadProgram({ name: 'may_i', type: 'raw_tracepoint', insns: exit, license: 'GPL' }).close()
    return undefined
  } catch (error) {
    return `BPF programs cannot be loaded here: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** Runs `run`, or says loudly that it was not; in a machine that exists to run it, a skip is a failure. */
export function unless(reason: string | undefined, title: string, run: () => void | Promise<void>): () => void | Promise<void> {
  return () => {
    if (reason === undefined) return run()
    if (process.env.TCPTOP_NO_SKIP !== undefined) throw new Error(`not run: ${reason}`)
    console.log(`SKIP ${title}: ${reason}`)
  }
}
