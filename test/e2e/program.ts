import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseBtf } from '../../bpf-asm/index.js'
import { openKernel } from '../../syscall/index.js'
import { backends } from '../../src/backend/index.js'
import { factsOf } from '../../src/facts.js'
import { makePlan } from '../../src/plan.js'
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

for (const { name: backend } of backends) {
  for (const [name, filter] of filters) {
    const title = `${backend} with ${name}: the kernel takes every program and lists it as we do`
    test(title, unless(reason, title, () => {
      const kernel = openKernel()
      const plan = makePlan({ backend, filter, maxFlows: 1024 }, factsOf(parseBtf(readFileSync('/sys/kernel/btf/vmlinux'))))
      const set = (id: string) => kernel.createMap({ name: id, type: 'hash', keySize: 8, valueSize: 4, maxEntries: 1 })
      const maps = { [mapName.cgroupIds]: set('cgroups'), [mapName.mntnsIds]: set('namespaces') }
      const session = startSession(plan, kernel, { maps, logLevel: 2 })
      plan.programs.forEach(({ name, assembly }, index) => {
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

test.run()
