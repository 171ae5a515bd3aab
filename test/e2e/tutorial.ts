import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { isBefore } from '../../syscall/index.js'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'

/** Up from dist/test/e2e/. */
const root = fileURLToPath(new URL('../../..', import.meta.url))
const path = join(root, 'tools/doc/tracers.md')
const page = readFileSync(path, 'utf8')

const folder = mkdtempSync(join(tmpdir(), 'tutorial-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))

/** Where the packages are that the page installs, so that nothing is fetched. */
const packages = {
  '../tcptop': root,
  'typescript@5': join(root, 'node_modules/typescript'),
  '@types/node@20': join(root, 'node_modules/@types/node'),
}
const env = { ...process.env, npm_config_offline: 'true', npm_config_ignore_scripts: 'true', npm_config_audit: 'false' }
const { reason: unprivileged } = standAlone()
/** Before, the verifier says it in other words, and without file and line. */
const old = isBefore(release(), '6.9') ? 'the page shows what Linux 6.9 and newer print' : undefined

/** What a command of the page prints, on both streams. */
function run(command: string): string {
  const here = Object.entries(packages)
    .reduce((text, [name, place]) => text.replace(name, () => `'${place}'`), command.replace(/^sudo /, ''))
  const { status, stdout } = spawnSync('sh', ['-c', `exec 2>&1; ${here}`], { cwd: folder, env, encoding: 'utf8' })
  assert.is(status, 0, `${command}\n${stdout}`)
  return stdout
}

/** Changes a file as a diff says, whose lines stand in it once. */
function change(file: string, diff: readonly string[]): void {
  const side = (sign: string) =>
    diff.filter(line => line.startsWith(' ') || line.startsWith(sign)).map(line => `${line.slice(1)}\n`).join('')
  const parts = readFileSync(join(folder, file), 'utf8').split(side('-'))
  assert.is(parts.length, 2, `${file} has these lines once:\n${side('-')}`)
  writeFileSync(join(folder, file), parts.join(side('+')))
}

/** Without what differs between machines and runs: addresses, where a socket has its fields, what is about so much. */
const alike = (line: string) =>
  line.replace(/0x[0-9a-f]{16}/, '0x…').replace(/\(r6 \+\d+\)/, '(r6 +…)').replace(/~\d+/g, '~…')

/** The sum of a port that is none of ours: other processes send too. */
const foreign = /^ *(?!700[78] )\d+ +\d+$/

/** What of an output has to be equal. */
const essential = (output: string) => output.split('\n').filter(line => !foreign.test(line)).map(alike).join('\n')

/** Does what a block says: its first line names the file that it is or changes, or it has commands and their output. */
async function work(title: string, kind: string, text: string): Promise<void> {
  if (kind !== 'console') {
    const [, file = '', rest = ''] = /^\/\/ (\S+)\n(.*)/s.exec(text) ?? []
    return kind === 'diff' ? change(file, rest.split('\n')) : writeFileSync(join(folder, file), text)
  }
  const commands = [...text.matchAll(/^\$ (.*)\n((?:(?!\$ ).*\n)*)/gm)]
  assert.is(commands.map(([block]) => block).join(''), text, 'a block begins with a command')
  for (const [, command = '', shown = ''] of commands) {
    const reason = command.startsWith('sudo ') ? unprivileged : undefined
    await unless(reason, `${title}: ${command}`, () => assert.is(essential(run(command)), essential(shown)))()
  }
}

const sections = page.split(/^## /m).slice(1)

test('the tutorial has steps, and README.md links to it', () => {
  assert.ok(sections.length > 5)
  assert.match(readFileSync(join(root, 'README.md'), 'utf8'), /\]\(tools\/doc\/tracers\.md\)/)
})

for (const section of sections) {
  const title = `tutorial, ${section.slice(0, section.indexOf('\n'))}`
  test(title, unless(old, title, async () => {
    for (const [, kind = '', text = ''] of section.matchAll(/^```(\w+)\n(.*?)^```$/gms)) await work(title, kind, text)
  }))
}

test.run()
