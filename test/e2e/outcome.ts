import { execFile } from 'node:child_process'
import * as assert from 'uvu/assert'
import { cli } from './tool.js'

/** Milliseconds after which a test waits in vain; `TCPTOP_PATIENCE` times as many on a machine that is so much slower. */
export const patience = 30_000 * Number(process.env.TCPTOP_PATIENCE ?? 1)

/** What a command came to. */
export interface Outcome {
  readonly status: number | string | null | undefined
  readonly out: string
  readonly err: string
}

/** Runs a command to its end. */
export function run(file: string, args: readonly string[]): Promise<Outcome> {
  return new Promise(resolve => {
    // On a busy host a frame has many rows.
    const child = execFile(file, args, { timeout: patience, maxBuffer: 2 ** 30 }, (error, out, err) =>
      resolve({ status: error ? error.code ?? error.signal : 0, out, err }))
    child.stdin?.end()
  })
}

/** The tool as the arguments of another program. */
export const asArgs = (...args: string[]) => [process.execPath, cli, ...args]
export const tool = (...args: string[]) => run(process.execPath, [cli, ...args])

/** It said one line, on stderr alone. */
export function complains({ status, out, err }: Outcome, wanted: number, ...parts: readonly (string | RegExp)[]): void {
  assert.is(status, wanted, err)
  assert.is(out, '')
  assert.match(err, /^tcptop: [^\n]+\n$/)
  for (const part of parts) assert.match(err, part)
}
