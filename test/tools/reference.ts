import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { reference } from '../../tools/reference.js'

const page = await reference()
/** Up from dist/test/tools/. */
const [version, ...names] = readFileSync(new URL('../../../test/golden/public.txt', import.meta.url), 'utf8').trim().split('\n')
const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([, text = '']) => text.replaceAll('\\', ''))

test('the reference begins with the version, and has a heading for every public name', () => {
  assert.match(page, new RegExp(`^tcptop ${version}\\.\\d+: reference$`, 'm'))
  for (const name of names.filter(line => line.startsWith('  '))) {
    const [, word = ''] = name.trim().split(' ')
    assert.ok(headings.some(heading => heading.replace(/\(\)$|<.*$/g, '') === word), name)
  }
})

test('every link of the reference leads somewhere on the page', () => {
  const anchors = new Set([
    ...headings.map(heading => heading.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-')),
    ...[...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id),
  ])
  const links = [...page.matchAll(/\]\((?!https?:)(.*?)\)/g)].map(([, link = '']) => link)
  assert.ok(links.length > 100)
  for (const link of links) assert.ok(link.startsWith('#') && (anchors.has(link.slice(1)) || anchors.has(link.slice(1).replace(/-\d+$/, ''))), link)
})

test.run()
