import { readFileSync, writeFileSync } from 'node:fs'
import * as assert from 'uvu/assert'

/** Compares text with test/golden/`name`, byte by byte; `GOLDEN=write` in the environment writes the file instead. */
export function matchesGolden(text: string, name: string): void {
  // Up from dist/test/kit/.
  const file = new URL(`../../../test/golden/${name}`, import.meta.url)
  if (process.env.GOLDEN === 'write') return writeFileSync(file, text)
  assert.fixture(text, readFileSync(file, 'utf8'))
}
