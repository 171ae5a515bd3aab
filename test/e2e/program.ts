import { existsSync, readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseBtf } from '../../bpf-asm/index.js'
import { type Facts, factsOf } from '../../src/backend/facts.js'
import { backends } from '../../src/backend/index.js'
import { makePlans, type Plan, PlanError } from '../../src/backend/plan.js'
import { startSession } from '../../src/backend/session.js'
import { mapName, type Filter } from '../../src/program/index.js'
import { type Kernel, openKernel, SyscallError, UnsupportedError, VerifierError } from '../../syscall/index.js'
import { titleOf } from '../kit/fixture.js'
import { compareListing } from '../kit/listing.js'
import { unless, whyUnprivileged } from '../kit/privilege.js'

const reason = whyUnprivileged()
const nothing: Filter = { pids: [], cgroup: false, cgroupIds: false, mntnsIds: false }
const filters: readonly (readonly [name: string, filter: Filter])[] = [
  ['no filter', nothing],
  ['one pid', { ...nothing, pids: [1] }],
  ['8 pids', { ...nothing, pids: Array.from({ length: 8 }, (_, index) => index + 1) }],
  ['1,000 pids', { ...nothing, pids: Array.from({ length: 1000 }, (_, index) => index + 1) }],
  ['IPv4', { ...nothing, family: 4 }],
  ['IPv6', { ...nothing, family: 6 }],
  ['a cgroup', { ...nothing, cgroup: true }],
  ['sets of cgroups and mount namespaces', { ...nothing, cgroupIds: true, mntnsIds: true }],
  ['a pid namespace', { ...nothing, pidNamespace: { dev: 4n, ino: 0xf0000123n } }],
  ['a pid in a pid namespace, and a cgroup', { ...nothing, pids: [1], cgroupIds: true, pidNamespace: { dev: 4n, ino: 0xf0000123n } }],
  ['all at once', { pids: [1, 2], family: 4, cgroup: true, cgroupIds: true, mntnsIds: true }],
]
const running = '/sys/kernel/btf/vmlinux'
const facts = existsSync(running) ? factsOf(parseBtf(readFileSync(running)), process.arch) : undefined

/** The plans of all variants that this kernel has what they need for, or why there are none. */
function plansOf(backend: string, filter: Filter, facts: Facts): readonly Plan[] | string {
  try {
    return [...makePlans({ backend, filter, maxFlows: 1024 }, facts)]
  } catch (error) {
    if (error instanceof PlanError) return error.message
    throw error
  }
}

/** A kernel that loads programs, and attaches none. */
function loading(kernel: Kernel): Kernel {
  const nothing = { fd: -1, read: () => new Uint8Array(), close: () => {} }
  const attach = () => nothing
  return { ...kernel, attachTracing: attach, attachRawTracepoint: attach, attachKprobe: attach, attachIterator: attach }
}

/**
 * Why this kernel does not take programs of this kind; undefined when it takes them. What is wrong with the programs of the variant that is
 * `preferred` here is for the test to find; the others are for older kernels, whose verifiers take what later ones may not.
 */
function whyRefused(plan: Plan, kernel: Kernel, preferred: boolean): string | undefined {
  if (reason !== undefined) return reason
  try {
    startSession(plan, kernel).close()
    return undefined
  } catch (error) {
    if (error instanceof VerifierError && preferred) return undefined
    if (!(error instanceof SyscallError || error instanceof UnsupportedError)) throw error
    return `this kernel refuses it: ${error.message}`
  }
}

/** The same as `unless`, where it is no failure in any machine. */
function tellUnless(reason: string | undefined, title: string, run: () => void): () => void {
  return reason === undefined ? run : () => console.log(`SKIP ${title}: ${reason}`)
}

for (const backend of backends) {
  const plans = facts === undefined ? 'this kernel has no BTF' : plansOf(backend, nothing, facts)
  if (typeof plans === 'string') {
    const title = `${backend}: the kernel takes every program`
    test(title, unless(plans, title, () => {}))
    continue
  }
  for (const plan of plans) {
    const { variant } = plan
    const preferred = plan === plans[0]
    const name = titleOf(variant)
    /** A test of this variant, if there is nothing against it. */
    const check = (refused: string | undefined, title: string, run: () => void) =>
      test(`${name} ${title}`, (preferred ? unless : tellUnless)(refused, `${name} ${title}`, run))

    const notLoaded = whyRefused(plan, loading(openKernel()), preferred)
    for (const [what, filter] of notLoaded === undefined ? filters : filters.slice(0, 1)) {
      check(notLoaded, `with ${what}: the kernel takes every program and lists it as we do`, () => {
        const kernel = openKernel()
        const filtered = (plansOf(backend, filter, facts!) as readonly Plan[]).find(plan => plan.variant === variant)!
        const set = (id: string) => kernel.createMap({ name: id, type: 'hash', keySize: 8, valueSize: 4, maxEntries: 1 })
        const maps = { [mapName.cgroupIds]: set('cgroups'), [mapName.mntnsIds]: set('namespaces') }
        const session = startSession(filtered, loading(kernel), { maps, logLevel: 2 })
        filtered.programs.forEach(({ name, assembly }, index) => {
          const { differences, compared } = compareListing(assembly, session.programs[index]?.log ?? '')
          assert.equal(differences, [], name)
          assert.is(compared, assembly.insns.length, `${name}: the verifier did not come to every instruction`)
        })
        session.close()
        for (const map of Object.values(maps)) map.close()
        assert.is(kernel.open, 0)
      })
    }
    if (notLoaded !== undefined) continue
    check(whyRefused(plan, openKernel(), preferred), 'can be attached, and leaves nothing open', () => {
      const kernel = openKernel()
      startSession(plan, kernel).close()
      assert.is(kernel.open, 0)
    })
  }
}

test.run()
