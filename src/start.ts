#!/usr/bin/env node
/** What users start: the program as one script, `program.js` beside it (tools/bundle.mjs), or one line that says what is wrong with that. */
import './no-debugger.js'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('program.js', import.meta.url))
try {
  createRequire(import.meta.url)(program)
} catch (error) {
  const isDamaged = error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND'
  if (!isDamaged) throw error
  const [reason = ''] = (error as Error).message.split('\n')
  process.stderr.write(`tcptop: this installation is damaged: ${program}: ${reason}: install it again, or run npm run build\n`)
  process.exitCode = 1
}
