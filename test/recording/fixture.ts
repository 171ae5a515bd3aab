import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { pick, Recording } from '../../src/recording/index.js'
import { groupings } from '../../src/view/index.js'

// A recording as version 1 of the format is written: it must be read for good. A new version gets a fixture of its own; this one is never written again.
const file = (name: string) => new URL(`../../../test/fixture/recording/${name}`, import.meta.url).pathname

test('a recording of version 1 is read', () => {
  const recording = Recording.open('FILE', file('version-1.jsonl.gz'), assert.unreachable)
  const read = [...recording.frames()]
  recording.close()
  assert.is(read.length, 62)
  const expected = readFileSync(file('version-1.json'), 'utf8').split('\n').slice(0, -1).map(line => JSON.parse(line))
  for (const frame of expected) {
    const found = read.find(({ time }) => time.toISOString() === frame.time)!
    const { identities: _, values: __, entries: ___, ...rest } = found
    assert.equal({ ...rest, time: found.time.toISOString(), rows: found.rows }, frame)
  }
  const [ssh] = pick(read[60]!.rows, { grouping: groupings[0]!, sort: groupings[0]!.sorts.get('sent')!, limit: 1 })
  assert.equal(ssh, {
    pid: 1234, comm: 'sshd', family: 4, laddr: '10.0.0.1', lport: 22, raddr: '10.0.0.2', rport: 50000,
    cgroup: '/system.slice/ssh.service', netns: 4026531840, start: '61000000000', rx: 61_000, tx: 2 ** 40 + 61,
  })
})

test('the Python of tools/doc/recording.md reads it', () => {
  const page = readFileSync(new URL('../../../tools/doc/recording.md', import.meta.url), 'utf8')
  const [, code = ''] = /```python\n([^]*?)```/.exec(page) ?? []
  const { stdout, stderr, status } = spawnSync('python3', ['-c', code, file('version-1.jsonl.gz')], { encoding: 'utf8', env: { ...process.env, PYTHONIOENCODING: 'utf-8' } })
  assert.is(status, 0, stderr)
  assert.match(stdout, /\n2026-02-03T03:01:02\.000Z sshd \{'rx': 62000, 'tx': 1099511627838,/)
})

test.run()
