import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { keep, kept, placeHere, type Result } from '../../../tools/bench/result.js'

const run = (commit: string, date: string, modified = false): Result =>
  ({ ...placeHere(), commit: commit.padEnd(40, '0'), modified, date, guests: {}, drain: [], start: [], idle: [] })

test('a run is kept by its time and commit, and found by its file or the beginning of the commit, the last one of several', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  try {
    const [early, late, other] = [run('abcd1', '2026-01-02T03:04:05.678Z'), run('abcd1', '2026-01-03T03:04:05.678Z', true), run('abcd2', '2026-01-04T03:04:05.678Z')]
    const path = keep(folder, early)
    assert.is(path, join(folder, '2026-01-02T030405Z-abcd10000000.json'))
    assert.match(keep(folder, late), /Z-abcd10000000-modified\.json$/)
    keep(folder, other)
    assert.equal(kept(folder, path), early)
    assert.equal(kept(folder, 'abcd1'), late)
    assert.equal(kept(folder, 'abcd2'), other)
    assert.throws(() => kept(folder, 'abcd'), /abcd is the beginning of several commits/)
    assert.throws(() => kept(folder, 'abcd3'), /neither a file nor the beginning of a commit/)
    assert.throws(() => kept(folder, 'abc'), /neither a file/)
    assert.throws(() => kept(join(folder, 'none'), 'abcd1'), /neither a file/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test.run()
