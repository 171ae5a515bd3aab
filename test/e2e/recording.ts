import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test as uvu } from 'uvu'
import * as assert from 'uvu/assert'
import { unless, whyUnprivileged } from '../kit/privilege.js'
import { inFolder } from '../recording/frame.js'
import { cli, type Line } from './tool.js'
import { compile, differences, Run } from './workload.js'

const test = (title: string, body: () => void | Promise<void>) => uvu(title, unless(whyUnprivileged(), title, async () => body()))

/** Starts a recorder; resolves when it has its first frame, which `-v` says. */
async function recording(path: string, interval: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [cli, 'record', '-v', '-o', path, `${interval}`], { stdio: ['ignore', 'inherit', 'pipe'] })
  let told = ''
  child.stderr!.on('data', data => (told += data))
  while (!/^flows /m.test(told)) {
    if (child.exitCode !== null) throw new Error(`the recorder has ended: ${told}`)
    await sleep(50)
  }
  return child
}

const run = (...args: readonly string[]) => execFileSync(process.execPath, [cli, ...args], { encoding: 'utf8', maxBuffer: 1 << 28 })
const linesOf = (text: string) => text.split('\n').slice(0, -1).map(line => JSON.parse(line) as Line)

test('a recording that SIGTERM ends has to the byte what was moved, frame by frame and as a sum', () => inFolder(async folder => {
  const path = join(folder, 'x')
  const cases = compile().filter(({ name }) => ['vectored-calls', 'ipv6', 'existing-connections'].includes(name))
  const early = cases.filter(({ before }) => before).map(({ name }) => new Run(name))
  await Promise.all(early.map(run => run.ready()))
  const recorder = await recording(path, 0.5)
  const runs = [...early, ...cases.filter(({ before }) => !before).map(({ name }) => new Run(name))]
  const truth = (await Promise.all(runs.map(run => run.finish()))).flatMap(({ truth }) => truth)
  recorder.kill('SIGTERM')
  const [status] = await once(recorder, 'exit')
  assert.is(status, 0)
  const lines = linesOf(run('replay', path, '-f', 'json'))
  assert.ok(truth.length >= cases.length && lines.length > 1)
  assert.equal(differences(truth, lines), [])
  assert.equal(differences(truth, linesOf(run('dump', path, '-f', 'json'))), [])
}))

test('a recorder that is killed leaves whole members, and the next one goes on', () => inFolder(async folder => {
  const path = join(folder, 'x')
  const first = await recording(path, 0.1)
  for (let seconds = 0; !(existsSync(path) && statSync(path).size > 0) && seconds < 60; seconds += 0.1) await sleep(100)
  first.kill('SIGKILL')
  await once(first, 'exit')
  assert.is(linesOf(run('replay', path, '-f', 'json')).length % 60, 0)
  const second = await recording(path, 0.1)
  await sleep(500)
  second.kill('SIGINT')
  assert.equal(await once(second, 'exit'), [0, null])
  const lines = linesOf(run('replay', path, '-f', 'json'))
  assert.ok(lines.length > 60)
  assert.is(execFileSync('sh', ['-c', `zcat < ${path} | grep -c '"interval"'`], { encoding: 'utf8' }), `${lines.length}\n`)
}))

uvu.run()
