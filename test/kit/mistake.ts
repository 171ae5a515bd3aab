import * as assert from 'uvu/assert'
import { assemble, AssemblyError, type Code } from '../../bpf-asm/index.js'

/** Assembling it fails with an error of this message, whose stack leads to the function that made the faulty part. */
export function assertMistake(source: Code | (() => Code), message: RegExp, culprit?: { readonly name: string }): void {
  assert.throws(() => assemble(source), (error: unknown) => {
    assert.instance(error, AssemblyError)
    const { message: text, stack } = error as AssemblyError
    assert.match(text, message)
    assert.ok(stack?.startsWith(`AssemblyError: ${text}\n`), stack)
    if (culprit !== undefined) assert.match(stack ?? '', new RegExp(` at ${culprit.name} `))
    return true
  })
}
