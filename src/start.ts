#!/usr/bin/env node
/**
 * What users start: the program, bundled into one script, with the code that V8 made of it when it was built (tools/bundle.mjs), so that a
 * start need not compile it. V8 takes only code that it made itself, with the same flags; without it the script is compiled as any other.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { Script } from 'node:vm'

/** What the bundler makes of the program. */
type Program = (require: NodeJS.Require, moduleUrl: string) => void

const program = new URL('program.js', import.meta.url)

// What a start does it does once: V8's optimizing compiler would take longer for it than it saves.
setFlagsFromString('--no-turbofan')
setTimeout(() => setFlagsFromString('--turbofan'), 1000).unref()

const script = new Script(readFileSync(program, 'latin1'), { filename: fileURLToPath(program), cachedData: codeOf(new URL('program.code', import.meta.url)) })
const run = script.runInThisContext() as Program
run(createRequire(program), program.href)

/** Undefined where it was not made, as in a package. */
function codeOf(file: URL): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}
