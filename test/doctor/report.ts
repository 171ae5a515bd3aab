import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { backends, variants } from '../../src/backend/index.js'
import { reportJson, reportOf, reportText } from '../../src/doctor/index.js'
import { matchesGolden } from '../kit/golden.js'
import { host, unread } from './fixture.js'

test('pages of a good host and of an unreadable one match the golden files', () => {
  matchesGolden(reportText(reportOf(host)), 'doctor.txt')
  matchesGolden(reportText(reportOf(unread)), 'doctor-unread.txt')
})

test('without root the page starts with the reasons and one command; lines break at words, but not inside commands', () => {
  const power = { ...host.power, capabilities: 0n, isRoot: false, paranoid: 3 }
  const one = { ...host, power, cgroup: { path: undefined, old: true }, trials: unread.trials }
  const own = ['/usr/bin/node', '/opt/my tools/tcptop.js']
  for (const width of [40, 60, 80, 120]) {
    const page = reportText(reportOf(one, own), width)
    const lines = page.split('\n')
    assert.is(lines[0], 'tcptop does not run here:')
    assert.match(page.replaceAll(/\s+/g, ' '), /^tcptop does not run here: - capabilities: this process lacks CAP_BPF and CAP_PERFMON; .* Run: sudo/)
    assert.ok(lines.includes("  sudo /usr/bin/node '/opt/my tools/tcptop.js'"))
    assert.ok(lines.some(line => line.includes('`sudo sysctl kernel.perf_event_paranoid=2`')), page)
    const wide = lines.filter(line => line.length > width && !/`|sudo/.test(line) && /\S\s+\S/.test(line.slice(width < 60 ? 38 : 0)))
    assert.equal(wide, [])
  }
  for (const [better, command] of [
    [{ isRoot: true }, undefined], [{ isContained: true }, undefined], [{ capabilities: host.power.capabilities }, undefined], [{}, "sudo tcptop"],
  ] as const) assert.is(reportOf({ ...one, power: { ...power, ...better } }).command, command)
})

test('auto takes the first of the variants that started, as a run does, and its limits are told', () => {
  const error = new Error('refused')
  const started = (backend: string, needs: RegExp) => ({ backend, variant: variants.find(one => one.backend === backend && needs.test(one.needs))! })
  const [fentry, kprobe, calls] = [started('fentry', /5\.12/), started('kprobe', /6\.2/), started('tracepoint', /6\.3/)]
  const [entry, packets] = [started('fentry', /5\.8/), started('tracepoint', /5\.12/)]
  for (const [trials, taken] of [
    [[fentry, kprobe, calls], fentry],
    [[{ backend: 'fentry', error }, kprobe, calls], calls],
    [[entry, kprobe, calls], calls],
    [[entry, kprobe, packets], entry],
    [[{ backend: 'fentry', error }, kprobe, packets], kprobe],
    [[{ backend: 'fentry', error }, { backend: 'kprobe', error }, packets], packets],
  ] as const) {
    const { backend, limits, findings } = reportOf({ ...host, trials })
    assert.equal([backend, limits], [taken.backend, taken.variant.limits])
    assert.equal(findings.filter(({ found }) => found.endsWith('; auto takes it')).map(({ name }) => name), [`backend ${taken.backend}`])
  }
  assert.is(reportOf({ ...host, trials: backends.map(backend => ({ backend, error })) }).backend, null)
})

test('the JSON object matches the page', () => {
  for (const report of [reportOf(host), reportOf(unread)]) {
    const text = reportJson(report)
    assert.match(text, /^[^\n]*\n$/)
    const { v, runs, backend, limits, checks } = JSON.parse(text) as Readonly<Record<string, unknown>>
    assert.equal([v, runs, backend, limits], [1, report.backend !== null, report.backend, report.limits])
    assert.equal(checks, report.findings.map(({ name, verdict, found, remedy = null }) => ({ name, verdict, found, remedy })))
  }
})

test.run()
