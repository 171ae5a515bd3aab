import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { backends, variants } from '../src/backend/index.js'
import { commands } from '../src/command/index.js'
import { parseCommandLine } from '../src/option/command-line.js'
import { optionsOf, specs } from '../src/option/options.js'
import { groupings } from '../src/view/grouping.js'
import { formats } from '../src/view/index.js'
import { blockOf, limitTable, withBlock } from '../tools/page.js'
import { compile } from './e2e/workload.js'

const at = (path: string) => new URL(`../../${path}`, import.meta.url)
const read = (path: string) => readFileSync(at(path), 'utf8')
const accuracy = 'tools/doc/accuracy.md'
const pages = readdirSync(at('tools/doc')).map(name => `tools/doc/${name}`)

test('README.md names every option, format, grouping, backend and command', () => {
  const options = Object.keys(specs).map(name => `--${name}`)
  assert.ok(options.length > 15)
  const readme = read('README.md')
  for (const word of [...options, ...[...formats, ...groupings, ...commands].map(({ name }) => name), ...backends]) {
    assert.ok(readme.includes(`\`${word}`) || readme.includes(` ${word} `) || readme.includes(`tcptop ${word}`), word)
  }
})

test('the examples of README.md and of the man page parse', async () => {
  const [, readme = ''] = /## Examples\n\n```sh\n(.*?)```/s.exec(read('README.md')) ?? []
  const [, man = ''] = /^\.SH EXAMPLES\n(.*?)^\.SH/ms.exec(read('tools/tcptop.8').replaceAll('\\-', '-')) ?? []
  const examples = [...`${readme}\n${man}`.matchAll(/^(?:\.B )?tcptop\b([^#\n]*)/gm)].map(([, args = '']) => args.trim().split(/ +/).filter(Boolean))
  assert.is(examples.length, 11)
  for (const argv of examples) {
    if (commands.some(({ name }) => name === argv[0])) continue
    assert.ok('format' in optionsOf(await parseCommandLine(argv, specs)), argv.join(' '))
  }
})

test('README.md has at most 200 lines, and links to every page', () => {
  const readme = read('README.md')
  assert.ok(readme.trimEnd().split('\n').length <= 200)
  assert.is(pages.length, 6)
  for (const page of pages) assert.ok(readme.includes(`](${page})`), page)
})

test('links between pages lead to files and headings that exist', () => {
  for (const page of ['README.md', ...pages]) {
    for (const [, link = ''] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link)) continue
      const [path = '', heading] = link.split('#')
      const target = path === '' ? at(page) : new URL(path, at(page))
      assert.ok(existsSync(target), `${page}: ${link}`)
      const anchors = [...readFileSync(target, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => anchorOf(title))
      if (heading !== undefined) assert.ok(anchors.includes(heading), `${page}: ${link}`)
    }
  }
})

test('paths of the checkout that pages name exist', () => {
  for (const page of ['README.md', ...pages]) {
    for (const [, path = ''] of read(page).matchAll(/`((?:bpf-asm|src|syscall|test|tools)\/[\w./-]*)`/g)) assert.ok(existsSync(at(path)), `${page}: ${path}`)
  }
})

test('every page starts with its title and what it answers', () => {
  for (const page of pages) assert.match(read(page), /^# .+\n\n[A-Z][^#]{40,}\n\n/, page)
})

test(`the limitations in ${accuracy} are those of the variants`, () => {
  const table = limitTable(variants)
  const page = read(accuracy)
  if (process.env.GOLDEN === 'write') return writeFileSync(at(accuracy), withBlock(page, 'limits', table))
  assert.fixture(blockOf(page, 'limits'), table)
})

test(`${accuracy} says how many programs the workload has`, () => {
  assert.match(read(accuracy), new RegExp(`\\bholds ${compile().length} programs\\b`))
})

/** The fragment by which a heading is linked, as GitHub makes it. */
function anchorOf(title: string): string {
  return title.toLowerCase().replaceAll(/[^\w -]/g, '').replaceAll(' ', '-')
}

test.run()
