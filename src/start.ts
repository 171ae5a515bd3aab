#!/usr/bin/env node
/**
 * What users start: the program, bundled into one script, with the code that V8 made of it when it was built, so that what a start needs need not
 * be compiled (tools/bundle.mjs).
 */
import './no-debugger.js'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import { Script } from 'node:vm'

/** What the bundler makes of the program. */
type Program = (require: NodeJS.Require, moduleUrl: string) => void

/**
 * The bundler's: the file with the code, and where the program was when it was made. V8 refuses code of another engine or of other flags. Of the
 * script it compares nothing but the length, so the file is named after what is in the script; and its name some versions take from the code.
 */
declare const built: { readonly code: string; readonly program: string }

const program = new URL('program.js', import.meta.url)

// What a start does it does once: V8's optimizing compiler would take longer for it than it saves.
setFlagsFromString('--no-turbofan')
setTimeout(() => setFlagsFromString('--turbofan'), 1000).unref()

const cachedData = program.href === built.program ? codeOf(new URL(built.code, import.meta.url)) : undefined
start()

function start(): void {
  let run: Program
  try {
    run = new Script(readFileSync(program, 'latin1'), { filename: program.href, cachedData }).runInThisContext() as Program
  } catch (error) {
    process.stderr.write(`tcptop: this installation is damaged: ${program.pathname}: ${(error as Error).message}: install it again, or run npm run build\n`)
    process.exitCode = 1
    return
  }
  run(createRequire(program), program.href)
}

/** Undefined where there is none, as in a package. */
function codeOf(file: URL): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}
