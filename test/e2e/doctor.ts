import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { unless, whyUnprivileged } from '../kit/privilege.js'
import { asNobody, withoutNobody } from './nobody.js'
import { asArgs, type Outcome, run, tool } from './outcome.js'
import type { Line } from './tool.js'

interface Said {
  readonly v: number
  readonly runs: boolean
  readonly backend: string | null
  readonly checks: readonly { readonly name: string; readonly verdict: string; readonly found: string; readonly remedy: string | null }[]
}

const said = ({ out }: Outcome) => JSON.parse(out) as Said
const checkOf = (outcome: Outcome, name: string) => said(outcome).checks.find(check => check.name === name)!
const lockdown = () => {
  try {
    return /\[(\w+)\]/.exec(readFileSync('/sys/kernel/security/lockdown', 'utf8'))?.[1]
  } catch {
    return undefined
  }
}

/** It says what a run then does, in its words and its status. */
function agrees(doctor: Outcome, frame: Outcome): void {
  assert.equal([doctor.status, doctor.err], [frame.status, ''])
  const { v, runs, backend } = said(doctor)
  assert.equal([v, runs], [1, frame.status === 0])
  assert.is(backend, frame.status === 0 ? (JSON.parse(frame.out) as Line).backend : null, frame.err)
}

test('the doctor’s verdict is what a run as the same user does', async () => {
  agrees(await tool('doctor', '-f', 'json'), await tool('-f', 'json', '0.1', '1'))
})

const namely = (title: string, reason: string | undefined, body: () => Promise<void>) => test(title, unless(reason, title, body))

namely('nobody is told what is lacking, and what could be told without', withoutNobody, async () => {
  const outcome = await asNobody([], 'doctor', '-f', 'json')
  agrees(outcome, await asNobody([], '-f', 'json', '0.1', '1'))
  assert.is(outcome.status, 1)
  const { verdict, remedy } = checkOf(outcome, 'capabilities')
  assert.equal([verdict, remedy], ['no', 'this process lacks CAP_BPF and CAP_PERFMON; run it as root, or with both'])
  assert.match(checkOf(outcome, 'tracepoints').found, /^this kernel has tracepoint \w+.* EPERM$/)
  assert.ok(said(outcome).checks.every(({ name, verdict }) => !/^backend|^fentry|^kprobes|points$/.test(name) || verdict !== 'ok'))
})

namely('in namespaces of its own it is told that they are, and who is there runs all the same', whyUnprivileged(), async () => {
  const outside = await tool('doctor', '-f', 'json')
  const inside = (...args: string[]) => run('unshare', ['--net', '--pid', '--fork', '--mount-proc', ...asArgs(...args)])
  const outcome = await inside('doctor', '-f', 'json')
  agrees(outcome, await inside('-f', 'json', '0.1', '1'))
  for (const name of ['network namespace', 'pid namespace']) {
    assert.is(checkOf(outside, name).verdict, 'ok', checkOf(outside, name).found)
    // Of old, the network is told from a process that is not seen there.
    assert.ok(['limited', 'unknown'].includes(checkOf(outcome, name).verdict), name)
  }
  assert.is(checkOf(outcome, 'pid namespace').verdict, 'limited')
})

const asContained = ['--user', '--map-root-user']
const withoutUsers = spawnSync('unshare', [...asContained, 'true']).status === 0 ? undefined : 'a user namespace cannot be made here'

namely('in a user namespace root is told that it is none', withoutUsers, async () => {
  const outcome = await run('unshare', [...asContained, ...asArgs('doctor', '-f', 'json')])
  assert.is(outcome.status, 1, outcome.err)
  assert.match(checkOf(outcome, 'capabilities').remedy!, /^capabilities of a user namespace do not count here/)
})

const withoutLockdown = whyUnprivileged() ?? (lockdown() === 'confidentiality' ? undefined : `lockdown is ${lockdown()}`)

namely('locked down, it is told what that forbids', withoutLockdown, async () => {
  const outcome = await tool('doctor', '-f', 'json')
  const { verdict, remedy } = checkOf(outcome, 'lockdown')
  assert.not.equal([verdict, remedy], ['ok', null])
  assert.is(checkOf(outcome, 'kprobes').verdict, 'no')
  assert.match(checkOf(outcome, 'kprobes').remedy!, /\[confidentiality\]: no process may set a kprobe$/)
})

test.run()
