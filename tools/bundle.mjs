#!/usr/bin/env node
/**
 * Bundles what users run into dist/bin: `src/start.ts` as tcptop.js, the program as program.js, which is one expression for it to call, and
 * what V8 compiles of that for a listing of the BPF programs. CommonJS, because to load ES modules takes longer than to run them.
 *
 *   node tools/bundle.mjs
 */
import { build } from 'esbuild'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { Script } from 'node:vm'

const root = new URL('..', import.meta.url)
const at = path => fileURLToPath(new URL(path, root))
const program = new URL('dist/bin/program.js', root)

if (process.argv[2] === '--compile') compile(process.argv[3])
else await bundle()

async function bundle() {
  const common = { bundle: true, platform: 'node', format: 'cjs', target: 'node20', minify: true, logLevel: 'error' }
  await build({
    ...common, entryPoints: [at('src/cli.ts')], outfile: fileURLToPath(program), sourcemap: true,
    define: { 'import.meta.url': 'moduleUrl' }, banner: { js: '(function (require, moduleUrl) {' }, footer: { js: '})' },
  })
  const code = `program-${createHash('sha256').update(readFileSync(program)).digest('hex').slice(0, 16)}.code`
  compileApart(at(`dist/bin/${code}`))
  const start = at('dist/bin/tcptop.js')
  await build({
    ...common, entryPoints: [at('src/start.ts')], outfile: start,
    define: { 'import.meta.url': 'moduleUrl', built: JSON.stringify({ code, program: program.href }) },
    banner: { js: 'const moduleUrl = require("node:url").pathToFileURL(__filename).href;' },
  })
  chmodSync(start, 0o755)
  writeFileSync(at('dist/bin/package.json'), '{ "type": "commonjs" }\n')
}

/** In a process of its own, with the flags that a start has. What is listed does not matter, nor whether it can be. */
function compileApart(code) {
  const { stderr, error } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--compile', code], {
    stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8', timeout: 60_000, env: { ...process.env, NODE_OPTIONS: '' },
  })
  if (!existsSync(code)) throw new Error(`V8 made no code of the program: ${error?.message ?? stderr}`)
}

/** Lets the program list its BPF programs, and writes what V8 has compiled for that. Without BTF it would measure, in the kernel: it only starts then. */
function compile(code) {
  setFlagsFromString('--no-turbofan')
  const script = new Script(readFileSync(program, 'latin1'), { filename: program.href })
  process.on('exit', () => {
    writeFileSync(`${code}.part`, script.createCachedData())
    renameSync(`${code}.part`, code)
  })
  process.argv.splice(2, Infinity, existsSync('/sys/kernel/btf/vmlinux') ? '--dump-bpf' : '--version')
  script.runInThisContext()(createRequire(program), program.href)
}
