#!/usr/bin/env node
/**
 * Bundles what users run into dist/bin: `src/start.ts` as tcptop.js, the program as program.js, which is one expression for it to call, and
 * what V8 compiles of that as program.code. CommonJS, because to load ES modules takes longer than to run them.
 *
 *   node tools/bundle.mjs
 */
import { build } from 'esbuild'
import { spawnSync } from 'node:child_process'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { Script } from 'node:vm'

const at = path => fileURLToPath(new URL(`../${path}`, import.meta.url))
const [start, program, code] = ['tcptop.js', 'program.js', 'program.code'].map(name => at(`dist/bin/${name}`))

if (process.argv[2] === '--code') compile()
else await bundle()

async function bundle() {
  const common = {
    bundle: true, platform: 'node', format: 'cjs', target: 'node20', minify: true, define: { 'import.meta.url': 'moduleUrl' }, logLevel: 'error',
  }
  await build({
    ...common, entryPoints: [at('src/start.ts')], outfile: start, banner: { js: 'const moduleUrl = require("node:url").pathToFileURL(__filename).href;' },
  })
  await build({
    ...common, entryPoints: [at('src/cli.ts')], outfile: program, sourcemap: true, banner: { js: '(function (require, moduleUrl) {' }, footer: { js: '})' },
  })
  chmodSync(start, 0o755)
  writeFileSync(at('dist/bin/package.json'), '{ "type": "commonjs" }\n')
  // What it does and says does not matter, nor whether it can be done here: what is not compiled now is so when it is called.
  spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--code'], { stdio: 'ignore' })
}

/** Lets the program do what a start does as far as that takes no privileges, and writes what V8 has compiled for it. */
function compile() {
  setFlagsFromString('--no-turbofan')
  const script = new Script(readFileSync(program, 'latin1'), { filename: program })
  process.on('exit', () => writeFileSync(code, script.createCachedData()))
  process.argv.splice(2, Infinity, '--dump-bpf')
  script.runInThisContext()(createRequire(program), pathToFileURL(program).href)
}
