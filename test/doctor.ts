import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { examine, findingsJson, findingsText, type Host, isWell } from '../src/doctor.js'

/** A host where all is well. */
const best: Host = {
  power: { capabilities: (1n << 41n) - 1n, isContained: false, lockdown: 'none', paranoid: 2, memlock: undefined },
  release: '6.18.4-amd64', arch: 'x64', hasBtf: true,
  backends: [{ name: 'fentry', limits: ['a limit', 'another'] }, { name: 'kprobe', limits: [] }],
  refused: undefined, unprivileged: '2', hasCgroups: true, isInitialPids: true, net: '4026531840',
}
const power = (change: Partial<Host['power']>) => ({ power: { ...best.power, ...change } })
const none = { backends: [{ name: 'fentry', limits: [], reason: 'no ftrace' }] }

/** What a host that is not the best has in one line: the check, its verdict, a part of what it says and of the remedy. */
const table: readonly (readonly [change: Partial<Host>, check: string, verdict: string, says: RegExp, remedy?: RegExp])[] = [
  [{}, 'kernel', 'ok', /^Linux 6\.18\.4-amd64 on x64$/],
  [{ release: '5.10.0-30-amd64' }, 'kernel', 'ok', /5\.10/],
  [{ release: '5.9.16' }, 'kernel', 'bad', /5\.9/, /5\.10 or newer/],
  [{ release: '4.19.0' }, 'kernel', 'bad', /4\.19/, /5\.10 or newer/],
  [{ release: undefined }, 'kernel', 'note', /cannot be read/],
  [{ hasBtf: false }, 'BTF', 'note', /none/, /--btf FILE/],
  [{ refused: 'EPERM: run it as root' }, 'programs', 'bad', /^refused$/, /^EPERM: run it as root$/],
  [{}, 'capabilities', 'ok', /^CAP_SYS_ADMIN, CAP_SYS_RESOURCE, CAP_PERFMON, CAP_BPF$/],
  [power({ capabilities: 1n << 39n }), 'capabilities', 'ok', /^CAP_BPF$/],
  [power({ capabilities: 0n }), 'capabilities', 'ok', /^none that matters$/],
  [power({ isContained: true }), 'capabilities', 'note', /user namespace/, /outside/],
  [power({ lockdown: 'integrity' }), 'lockdown', 'ok', /^integrity$/],
  [power({ lockdown: 'confidentiality' }), 'lockdown', 'note', /kprobe is refused/, /boot/],
  [power({ lockdown: undefined }), 'lockdown', 'ok', /cannot be read/],
  [power({ paranoid: 2 }), 'perf_event_paranoid', 'ok', /^2$/],
  [power({ paranoid: 3 }), 'perf_event_paranoid', 'note', /CAP_SYS_ADMIN/, /sysctl/],
  [{ unprivileged: undefined }, 'unprivileged_bpf_disabled', 'ok', /cannot be read/],
  [power({ memlock: 65_536 }), 'memlock', 'note', /^64 KiB/, /ulimit/],
  [{ hasCgroups: false }, 'cgroups', 'note', /by their ids/, /mount/],
  [{ isInitialPids: false }, 'pid namespace', 'note', /those in it/, /--pid=host/],
  [{}, 'network namespace', 'ok', /^4026531840/],
  [none, 'fentry', 'note', /^no ftrace$/],
  [{ refused: 'EPERM' }, 'fentry', 'ok', /not tried/],
  [{}, '--backend auto', 'ok', /^takes fentry\n- a limit\n- another$/],
  [{ backends: [...none.backends, { name: 'kprobe', limits: [] }] }, '--backend auto', 'ok', /^takes kprobe$/],
  [none, '--backend auto', 'bad', /none/, /another kernel/],
  [{ refused: 'EPERM' }, '--backend auto', 'ok', /^not tried, perhaps fentry\n/],
]

for (const [change, check, verdict, says, remedy] of table) {
  test(`${check} is ${verdict} where it says ${says}`, () => {
    const finding = examine({ ...best, ...change }).find(finding => finding.check === check)!
    assert.is(finding.verdict, verdict)
    assert.match(finding.says, says)
    if (remedy === undefined) assert.is(finding.remedy, undefined)
    else assert.match(finding.remedy!, remedy)
  })
}

test('a host is well unless something is in the way', () => {
  assert.ok(isWell(examine(best)))
  assert.ok(isWell(examine({ ...best, hasBtf: false, hasCgroups: false })), 'what is worth knowing is not in the way')
  assert.not(isWell(examine({ ...best, refused: 'EPERM' })))
  assert.not(isWell(examine({ ...best, ...none })))
})

test('for eyes a finding is a line, what there is to do and what more it says is below it', () => {
  assert.is(findingsText([
    { check: 'one', verdict: 'ok', says: 'a\n- b' }, { check: 'three', verdict: 'note', says: 'c', remedy: 'd' },
  ]), `\
ok    one    a
             - b
note  three  c
             -> d
`)
})

test('JSON has all findings in one line', () => {
  const findings = examine(best)
  const text = findingsJson(findings)
  assert.is(text.indexOf('\n'), text.length - 1)
  assert.equal(JSON.parse(text), { v: 1, ok: true, findings })
})

test.run()
