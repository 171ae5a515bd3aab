import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { backends } from '../src/backend/index.js'
import { commands } from '../src/command/index.js'
import { formats, groupings } from '../src/view/index.js'
import { json } from '../src/view/json.js'
import { answer } from './kit/answer.js'
import { unless } from './kit/privilege.js'
import { frameOf, presentationOf } from './view/sample.js'

const path = fileURLToPath(new URL('../../tools/tcptop.8', import.meta.url))
const source = readFileSync(path, 'utf8')

/** What troff makes of a line: arguments of `.B` are apart, those of macros that alternate fonts are not. */
function textOf(line: string): string {
  const [, macro, rest = ''] = /^\.([A-Z]+) (.*)/.exec(line) ?? [, undefined, line]
  const text = macro === undefined || macro === 'B' ? rest : (rest.match(/"[^"]*"|\S+/g) ?? []).map(word => word.replaceAll('"', '')).join('')
  return text.replaceAll(/\\f./g, '').replaceAll('\\-', '-').replaceAll('\\(aq', "'")
}

/** A section's text, its macros undone, line by line. */
function section(title: string): string[] {
  const found = source.split(/^\.SH /m).find(text => text.startsWith(`${title}\n`))
  if (found === undefined) throw new Error(`the man page has no section ${title}`)
  return found.split('\n').slice(1)
}

/** The tagged paragraphs of a section. */
function entries(title: string): { readonly tag: string; readonly text: string }[] {
  return section(title).join('\n').split(/^\.TP\n/m).slice(1).map(entry => {
    const [tag = '', ...lines] = entry.split('\n')
    return { tag: textOf(tag), text: lines.map(textOf).join(' ') }
  })
}

const tags = (title: string) => entries(title).map(({ tag }) => tag)
const names = (title: string) => tags(title).flatMap(tag => tag.split(', '))

test('the man page has the options of --help, with the same letters and values, in the same order', async () => {
  const help = [...(await answer('--help')).matchAll(/^  ((?:-., |    )--[\w-]+(?: [A-Z]+)?) /gm)].map(([, option = '']) => option.trim())
  assert.ok(help.length > 15)
  assert.equal(tags('OPTIONS'), help)
})

test('the man page has the synopsis of --help', async () => {
  const [usage = ''] = (await answer('--help')).split('\n\n')
  const synopsis = section('SYNOPSIS').filter(line => line !== '').map(textOf).join(' ').split(' .br ')
  assert.equal(synopsis, usage.split('\n').map(line => line.replace(/^(Usage:|or:) +/, '')))
})

test('the man page has every value that an option may have', () => {
  const [by, format, backend] = ['--by', '--format', '--backend'].map(option => entries('OPTIONS').find(({ tag }) => tag.includes(option))!.text)
  for (const [text, list] of [[by!, groupings], [format!, formats], [backend!, ['auto', ...backends].map(name => ({ name }))]] as const) {
    for (const { name } of list) assert.match(text, new RegExp(`\\b${name}\\b`), name)
  }
})

test('the man page has every sub-command', () => {
  assert.equal(tags('COMMANDS').map(tag => tag.split(' ')[0]), commands.map(({ name }) => name))
})

test('the man page has every column', () => {
  const columns = groupings.flatMap(({ columns }) => columns).flatMap(({ name, ipv6 }) => [name, ...ipv6 === undefined ? [] : [ipv6.name]])
  assert.equal([...new Set(names('COLUMNS'))].sort(), [...new Set(columns)].sort())
})

test('the man page has every field of JSON and CSV, and no other', () => {
  const object = JSON.parse(json.frame(frameOf([]), presentationOf('connection'))) as Readonly<Record<string, unknown>>
  const row = groupings.flatMap(({ fields }) => fields.map(({ name }) => name))
  assert.equal([...names('FIELDS')].sort(), [...new Set([...Object.keys(object), ...row, 'hostPid'])].sort())
  for (const [key, value] of Object.entries(object)) {
    const text = entries('FIELDS').find(({ tag }) => tag === key)!.text
    if (typeof value !== 'object' || value === null || Array.isArray(value)) continue
    for (const part of Object.keys(value)) assert.match(text, new RegExp(`\\b${part}\\b`), `${key}.${part}`)
  }
})

test('the man page has every exit status', () => {
  assert.equal(tags('EXIT STATUS'), ['0', '1', '2'])
})

const renders = 'the man page renders without a warning'
const noGroff = spawnSync('groff', ['--version']).error === undefined ? undefined : 'groff is not here'
test(renders, unless(noGroff, renders, () => {
  const { status, stdout, stderr } = spawnSync('groff', ['-man', '-Tutf8', '-ww', path], { encoding: 'utf8' })
  assert.equal([status, stderr], [0, ''])
  assert.match(stdout, /EXIT STATUS|E.E.*X.X/)
}))

test.run()
