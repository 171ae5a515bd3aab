#!/usr/bin/env node
/**
 * Bundles what users run into dist/bin: `src/start.ts` as tcptop.js, the program as program.js, and yargs apart, which few command lines need: V8
 * goes over all text of a script that it loads. CommonJS, because loading ES modules takes longer than running them. And into dist/lib what `tcptop/trace`
 * has beside `src/trace`: the accounting, which as modules of its own would be a sixth of the package.
 *
 *   node tools/bundle.mjs
 */
import { build } from 'esbuild'
import { chmodSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const at = path => fileURLToPath(new URL(`../${path}`, import.meta.url))
const moduleUrl = 'const moduleUrl = require("node:url").pathToFileURL(__filename).href;'
const common = {
  bundle: true, platform: 'node', format: 'cjs', target: 'node20', minify: true, logLevel: 'error', define: { 'import.meta.url': 'moduleUrl' },
}
const start = at('dist/bin/tcptop.js')
/** Without the file that makes it CommonJS, Node.js takes it as an ES module, which has no `require`. */
const damaged = `if (typeof require === 'undefined') {
  process.stderr.write('tcptop: this installation is damaged: dist/bin/package.json is missing: install it again, or run npm run build\\n')
  process.exit(1)
}
`

const yargs = './yargs.js'
await build({
  ...common, entryPoints: [at('src/cli.ts')], outfile: at('dist/bin/program.js'), sourcemap: true, banner: { js: moduleUrl }, alias: { yargs }, external: [yargs],
  // `require` starts no loader of modules.
  supported: { 'dynamic-import': false },
})
await build({ ...common, stdin: { contents: 'module.exports = require("yargs").default', resolveDir: at('.') }, outfile: at('dist/bin/yargs.js'), banner: { js: moduleUrl } })
await build({ ...common, entryPoints: [at('src/start.ts')], outfile: start, banner: { js: damaged + moduleUrl } })
chmodSync(start, 0o755)

/** What a package has as modules is not bundled: an error is of one class wherever it is caught. */
const modules = {
  name: 'modules',
  setup: build => build.onResolve({ filter: /^\./ }, ({ path, resolveDir, kind }) => {
    const found = relative(at(''), fileURLToPath(new URL(path, `file://${resolveDir}/`)))
    const isModule = kind !== 'entry-point' && /^(bpf-asm|syscall|src\/trace|src\/host)\//.test(found)
    return isModule ? { path: `../${found}`, external: true } : undefined
  }),
}
await build({ ...common, define: {}, format: 'esm', entryPoints: [at('src/library.ts')], outfile: at('dist/lib/trace.js'), plugins: [modules] })
writeFileSync(at('dist/bin/package.json'), '{ "type": "commonjs" }\n')
