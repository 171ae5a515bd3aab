import { existsSync, readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseBtf } from '../../bpf-asm/index.js'
import { openKernel, SyscallError, UnsupportedError, VerifierError } from '../../syscall/index.js'
import { backends } from '../../src/backend/index.js'
import { type Facts, factsOf } from '../../src/facts.js'
import { makePlans, type Plan, PlanError } from '../../src/plan.js'
import { mapName, type Filter } from '../../src/program/index.js'
import { startSession } from '../../src/session.js'
import { compareListing } from '../listing.js'
import { unless, whyUnprivileged } from '../privilege.js'

const reason = whyUnprivileged()
const nothing: Filter = { pids: [], cgroup: false, cgroupIds: false, mntnsIds: false }
const filters: readonly (readonly [name: string, filter: Filter])[] = [
  ['no filter', nothing],
  ['one pid', { ...nothing, pids: [1] }],
  ['64 pids', { ...nothing, pids: Array.from({ length: 64 }, (_, index) => index + 1) }],
  ['IPv4', { ...nothing, family: 4 }],
  ['IPv6', { ...nothing, family: 6 }],
  ['a cgroup', { ...nothing, cgroup: true }],
  ['sets of cgroups and mount namespaces', { ...nothing, cgroupIds: true, mntnsIds: true }],
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

/** Why this kernel does not take programs of this kind; undefined when it takes them, or its verifier says what is wrong with them. */
function whyRefused(plan: Plan): string | undefined {
  if (reason !== undefined) return reason
  try {
    startSession(plan, openKernel()).close()
    return undefined
  } catch (error) {
    if (error instanceof VerifierError || !(error instanceof SyscallError || error instanceof UnsupportedError)) return undefined
    return `this kernel refuses it: ${error.message}`
  }
}

for (const { name: backend, variants } of backends) {
  const plans = facts === undefined ? 'this kernel has no BTF' : plansOf(backend, nothing, facts)
  if (typeof plans === 'string') {
    const title = `${backend}: the kernel takes every program and lists it as we do`
    test(title, unless(plans, title, () => {}))
    continue
  }
  for (const plan of plans) {
    const { variant } = plan
    const number = variants.length > 1 ? ` ${variants.indexOf(variant) + 1}` : ''
    const refused = whyRefused(plan)
    for (const [name, filter] of refused === undefined ? filters : filters.slice(0, 1)) {
      const title = `${backend}${number} with ${name}: the kernel takes every program and lists it as we do`
      test(title, unless(refused, title, () => {
        const kernel = openKernel()
        const filtered = (plansOf(backend, filter, facts!) as readonly Plan[]).find(plan => plan.variant === variant)!
        const set = (id: string) => kernel.createMap({ name: id, type: 'hash', keySize: 8, valueSize: 4, maxEntries: 1 })
        const maps = { [mapName.cgroupIds]: set('cgroups'), [mapName.mntnsIds]: set('namespaces') }
        const session = startSession(filtered, kernel, { maps, logLevel: 2 })
        filtered.programs.forEach(({ name, assembly }, index) => {
          const { differences, compared } = compareListing(assembly, session.programs[index]?.log ?? '')
          assert.equal(differences, [], name)
          assert.is(compared, assembly.insns.length, `${name}: the verifier did not come to every instruction`)
        })
        session.close()
        for (const map of Object.values(maps)) map.close()
        assert.is(kernel.open, 0)
      }))
    }
  }
}

test.run()
