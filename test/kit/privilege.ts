export { whyUnprivileged } from '../../tools/privilege.js'

/** Runs `run`, or says loudly that it was not; in a machine that exists to run it, a skip is a failure. */
export function unless(reason: string | undefined, title: string, run: () => void | Promise<void>): () => void | Promise<void> {
  return () => {
    if (reason === undefined) return run()
    if (process.env.TCPTOP_NO_SKIP !== undefined) throw new Error(`not run: ${reason}`)
    console.log(`SKIP ${title}: ${reason}`)
  }
}
