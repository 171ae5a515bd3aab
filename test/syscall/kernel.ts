import { constants } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { kernelThrough } from '../../syscall/kernel.js'
import { fakeKernel } from '../kit/fake.js'

/** How often a kernel of this release is asked for locked memory, and what it answers. */
function raisesOn(release: string | undefined, result = 0): number {
  let raises = 0
  const kernel = kernelThrough({ ...fakeKernel().native, raiseMemlock: () => (raises++, result) }, release)
  kernel.createMap({ name: 'm', type: 'hash', keySize: 4, valueSize: 4, maxEntries: 1 }).close()
  assert.is(kernel.open, 0)
  return raises
}

test('before Linux 5.11, where maps are locked memory, as much as possible is allowed, once', () => {
  for (const release of ['4.19.0', '4.20.17', '5.5.0', '5.10.0-32-amd64', '5.10', '5.9.16+']) assert.is(raisesOn(release), 1, release)
})

test('since Linux 5.11 no limit is raised', () => {
  for (const release of ['5.11.0', '5.11-rc1', '5.15.167.4-microsoft-standard-WSL2', '6.1.0-28-amd64', '6.18', '7.3.0+', '10.0.1']) {
    assert.is(raisesOn(release), 0, release)
  }
})

test('what it may not be allowed is left to the map that needs it', () => {
  assert.is(raisesOn('5.10.0', -constants.errno.EPERM), 1)
})

test.run()
