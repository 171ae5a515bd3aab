import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { standAlone } from '../kit/alone.js'
import { unless } from '../privilege.js'

const { reason } = standAlone()
/** Up from dist/test/e2e/. */
const root = fileURLToPath(new URL('../../..', import.meta.url))
const examples = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code)

/** Compiles an example in a folder of its own, as somebody would who has installed the package, and returns the JavaScript's path. */
function compile(folder: string, code: string): string {
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules/tcptop'))
  for (const name of ['@types', 'undici-types']) symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  const file = join(folder, 'example.ts')
  writeFileSync(file, code)
  const program = ts.createProgram([file], {
    target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true,
    noUnusedLocals: true, types: ['node'], typeRoots: [join(folder, 'node_modules/@types')],
  })
  const found = [...ts.getPreEmitDiagnostics(program), ...program.emit().diagnostics]
  assert.is(ts.formatDiagnostics(found, { getCurrentDirectory: () => folder, getCanonicalFileName: name => name, getNewLine: () => '\n' }), '')
  return join(folder, 'example.js')
}

async function within(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'example-'))
  try {
    await run(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('README.md has an example', () => assert.ok(examples.length > 0))

examples.forEach((code, index) => {
  test(`example ${index + 1} of README.md compiles with the strict types of the package`, () => within(async folder => void compile(folder, code)))
})

const runs = 'the tracer of README.md counts the connections that a process opens'
test(runs, unless(reason, runs, () => within(async folder => {
  const child = spawn(process.execPath, [compile(folder, examples[0]!)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (output += data))
  const closed = once(child, 'close')
  const said = async (what: RegExp) => {
    while (!what.test(output)) {
      if (child.exitCode !== null) throw new Error(`the tracer has ended: ${output}`)
      await once(child.stdout, 'data')
    }
  }
  await said(/^1\.\d s$/m)
  // Others may open connections by the name of node.
  process.title = `opener${process.pid}`
  const server = createServer(socket => socket.destroy()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address() as { port: number }
  for (let left = 7; left > 0; left--) await once(connect(address.port, '127.0.0.1').resume(), 'close')
  server.close()
  child.kill('SIGINT')
  assert.equal((await closed)[0], 0, output)
  assert.match(output, new RegExp(`^opener${process.pid} +7n$`, 'm'))
})))

test.run()
