/**
 * What a recording takes of disk and memory. The traffic is made up: connections of which a fiftieth are new each second, with log-normal bytes in both
 * directions, which is the part that cannot be compressed.
 */
import { spawnSync } from 'node:child_process'
import { appendFileSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { inFolder, record } from './frame.js'
import { frames, Traffic } from './traffic.js'

const start = new Date('2026-02-03T00:00:00Z')
const opened = fileURLToPath(new URL('opened.js', import.meta.url))

/** Connections, rows a second that these come to, and the most that an hour may take. */
for (const [connections, active, megabytes] of [[101, 91, 3], [1004, 904, 30]] as const) {
  test(`an hour of ${active} rows a second takes at most ${megabytes} MB`, () => inFolder(async folder => {
    const path = join(folder, 'x')
    const minutes = 3
    const some = [...frames(new Traffic(connections), start, 60 * minutes)]
    const rows = some.reduce((sum, { rows }) => sum + rows.length, 0) / some.length
    assert.ok(Math.abs(rows - active) < active / 50, `${rows} rows`)
    await record(path, some)
    const hour = statSync(path).size / minutes * 60
    assert.ok(hour < megabytes * 1e6 && hour > megabytes * 5e5, `${hour} bytes`)
  }))
}

test('a day opens within a second, and takes no more than 150 MB however much of it is read', () => inFolder(async folder => {
  const path = join(folder, 'x')
  const [minutes, times] = [5, 288]
  const some = [...frames(new Traffic(101), start, 60 * minutes)]
  await record(path, some)
  const bytes = readFileSync(path)
  for (let time = 1; time < times; time++) appendFileSync(path, bytes)
  const { stdout, stderr } = spawnSync(process.execPath, [opened, path], { encoding: 'utf8' })
  assert.is(stderr, '')
  const { seconds, rows, members, rx, most } = JSON.parse(stdout)
  assert.is(members, 1440)
  assert.ok(rows > 80)
  assert.is(rx, times * some.reduce((sum, { total }) => sum + total.rx, 0))
  assert.ok(seconds < 1, `${seconds} s`)
  assert.ok(most < 150e6, `${most} bytes`)
}))

test.run()
