import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'

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

/** Listens, and accepts nothing: its thread waits for ever. What finds the queue full is dropped, and sent again after a second. */
const deaf = `
  const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    require('node:fs').writeSync(1, server.address().port + '\\n')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  })`

const runs = 'the tracer of README.md counts the retransmits to a port'
test(runs, unless(reason, runs, () => within(async folder => {
  const child = spawn(process.execPath, [compile(folder, examples[0]!)], { stdio: ['ignore', 'pipe', 'pipe'] })
  const server = spawn(process.execPath, ['-e', deaf], { stdio: ['ignore', 'pipe', 'inherit'] })
  const sockets: Socket[] = []
  try {
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (output += data))
    const closed = once(child, 'close')
    const port = Number(String((await once(server.stdout, 'data'))[0]))
    // Tried again every 100 ms until the tracer is there: it says nothing before it has something to tell.
    const count = () => Math.max(0, ...[...output.matchAll(new RegExp(`^port ${port}: (\\d+) retransmits$`, 'gm'))].map(([, count]) => Number(count)))
    while (count() < 3) {
      if (child.exitCode !== null) throw new Error(`the tracer has ended: ${output}`)
      if (sockets.length < 50) sockets.push(connect(port, '127.0.0.1').on('error', () => undefined))
      await sleep(100)
    }
    child.kill('SIGINT')
    assert.equal((await closed)[0], 0, output)
    // The server's own port is the remote one of no retransmit but these, and each counts once.
    assert.ok(count() <= 10 * sockets.length, output)
  } finally {
    for (const socket of sockets) socket.destroy()
    server.kill()
    child.kill('SIGKILL')
  }
})))

test('the tracer of README.md has at most 15 lines', () => assert.ok(examples[0]!.split('\n').filter(line => line !== '').length <= 15))

test.run()
