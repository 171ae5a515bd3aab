import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseLength, parseSize, parseSpan, parseTime, spanOf } from '../../src/recording/index.js'
import { UsageError } from '../../src/usage-error.js'

const local = (day: number, hour: number, minute: number, second = 0, millisecond = 0) => new Date(2026, 0, day, hour, minute, second, millisecond)
const now = local(20, 12, 0)
/** The recording ended ten days before. */
const reference = { now, end: local(10, 3, 5) }

const times: readonly (readonly [text: string, time: Date])[] = [
  ['03:00', local(10, 3, 0)],
  ['3:05', local(10, 3, 5)],
  ['03:05:01', local(9, 3, 5, 1)],
  ['23:59', local(9, 23, 59)],
  ['02:03:04.5', local(10, 2, 3, 4, 500)],
  ['now', now],
  ['3m ago', new Date(now.getTime() - 180_000)],
  ['1.5 h ago', new Date(now.getTime() - 5_400_000)],
  ['2d ago', new Date(now.getTime() - 172_800_000)],
  ['2026-01-02T03:04:05Z', new Date(Date.UTC(2026, 0, 2, 3, 4, 5))],
  ['2026-01-02t03:04:05z', new Date(Date.UTC(2026, 0, 2, 3, 4, 5))],
  ['2026-01-02T03:04:05.678+02:00', new Date(Date.UTC(2026, 0, 2, 1, 4, 5, 678))],
  ['2026-01-02 03:04', local(2, 3, 4)],
  ['2026-01-02', local(2, 0, 0)],
]
for (const [text, time] of times) test(`${text} is a time`, () => assert.equal(parseTime('--at', text, reference), time))

for (const text of ['', '3', '24:00', '12:60', '3m', 'ago', '-3m ago', '2026-13-01', '2026-01-02T25:00', '03:00 ', 'yesterday', '2026']) {
  test(`${JSON.stringify(text)} is no time`, () => {
    assert.throws(() => parseTime('--at', text, reference), (error: Error) => error instanceof UsageError && error.message.startsWith('--at must be a time such as'))
  })
}

const spans: readonly (readonly [text: string, after: Date, until: Date])[] = [
  ['02:00-02:10', local(10, 2, 0), local(10, 2, 10)],
  ['03:00-03:10', local(10, 3, 0), local(10, 3, 10)],
  ['23:50-00:10', local(9, 23, 50), local(10, 0, 10)],
  ['04:00-05:00', local(9, 4, 0), local(9, 5, 0)],
  ['2026-01-02-2026-01-03', local(2, 0, 0), local(3, 0, 0)],
  ['2026-01-02T03:00-03:10', local(2, 3, 0), local(2, 3, 10)],
  ['2026-01-02T03:00:00-01:00-2026-01-02T05:00:00Z', new Date(Date.UTC(2026, 0, 2, 4)), new Date(Date.UTC(2026, 0, 2, 5))],
  ['3m ago - now', new Date(now.getTime() - 180_000), now],
]
for (const [text, after, until] of spans) test(`${text} is from a time to a time`, () => assert.equal(parseSpan('--a', text, reference), { after, until }))

for (const text of ['', '02:00', '02:00-', '-02:00', '02:00-x', '02:00/03:00']) {
  test(`${JSON.stringify(text)} is no span`, () => assert.throws(() => parseSpan('--a', text, reference), /^--a must be two times with a - between them/))
}

test('a span ends after it begins', () => {
  assert.throws(() => spanOf(['--begin', '--end'], '2026-01-02', '2026-01-01', reference), (error: Error) => error instanceof UsageError && /^--end must be after the beginning/.test(error.message))
  assert.equal(spanOf(['--begin', '--end'], undefined, '03:00', reference), { after: undefined, until: local(10, 3, 0) })
  assert.equal(spanOf(['--begin', '--end'], '03:00', undefined, reference), { after: local(10, 3, 0), until: undefined })
  assert.equal(spanOf(['--begin', '--end'], undefined, undefined, reference), { after: undefined, until: undefined })
})

test('lengths of time are in seconds', () => {
  assert.equal(['7d', '12h', '90m', '30s', '1.5h'].map(text => parseLength('--keep', text)), [604_800, 43_200, 5400, 30, 5400])
  for (const text of ['', '7', '0d', 'd', '-1d', '1w', '1 d']) assert.throws(() => parseLength('--keep', text), /^--keep must be a length of time such as 7d/, text)
})

test('sizes are in bytes, by powers of 1024', () => {
  assert.equal(['1', '2K', '500M', '1G', '1.5T', '1g'].map(text => parseSize('--max-size', text)),
    [1, 2048, 500 * 2 ** 20, 2 ** 30, 1.5 * 2 ** 40, 2 ** 30])
  for (const text of ['', '0', 'G', '-1G', '1GB', '1 G']) assert.throws(() => parseSize('--max-size', text), /^--max-size must be a size such as 500M/, text)
})

test.run()
