import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { backends, variants } from '../src/backend/index.js'
import { commands } from '../src/command/index.js'
import { specs } from '../src/option/index.js'
import { groupings } from '../src/view/grouping.js'
import { formats } from '../src/view/index.js'
import { blockOf, limitTable, withBlock } from '../tools/page.js'
import { compile } from './e2e/workload.js'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const options = Object.keys(specs).map(name => `--${name}`)

for (const [document, text] of [['README.md', read('README.md')], ['tools/tcptop.8', read('tools/tcptop.8').replaceAll('\\-', '-')]] as const) {
  test(`${document} tells of every option, format, grouping, backend and command`, () => {
    assert.ok(options.length > 15)
    for (const word of [...options, ...[...formats, ...groupings, ...commands].map(({ name }) => name), ...backends]) {
      assert.ok(text.includes(word), word)
    }
  })
}

test('README.md tells what each backend cannot see, as -v does', () => {
  for (const limit of new Set(variants.flatMap(({ limits }) => limits))) {
    assert.ok(read('README.md').includes(`- ${limit}\n`), limit)
  }
})

test('the examples of README.md and of the man page parse', async () => {
  const [, readme = ''] = /## Examples\n\n```sh\n(.*?)```/s.exec(read('README.md')) ?? []
  const [, man = ''] = /^\.SH EXAMPLES\n(.*?)^\.SH/ms.exec(read('tools/tcptop.8').replaceAll('\\-', '-')) ?? []
  const examples = [...`${readme}\n${man}`.matchAll(/^(?:\.B )?tcptop\b([^#\n]*)/gm)].map(([, args = '']) => args.trim().split(/ +/).filter(Boolean))
  assert.is(examples.length, 11)
  for (const argv of examples) assert.ok('format' in await parseOptions(argv), argv.join(' '))
})

test('README.md has at most 200 lines, and links to every page', () => {
  const readme = read('README.md')
  assert.ok(readme.trimEnd().split('\n').length <= 200)
  assert.is(pages.length, 5)
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
