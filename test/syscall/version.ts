import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { isBefore } from '../../syscall/index.js'

for (const [release, version, older] of [
  ['5.10.0-46-amd64', '5.11', true], ['5.11.0', '5.11', false], ['5.9.1', '5.10', true], ['5.10.1', '5.9', false], ['4.19.0', '5.4', true],
  ['6.1.0', '5.19', false], ['7.3.0-rc1', '7.3', false], ['10.0', '9.9', false], [undefined, '5.10', false], ['unknown', '5.10', false], ['6', '6.1', false],
] as const) {
  test(`${release} is ${older ? '' : 'not '}before Linux ${version}`, () => assert.is(isBefore(release, version), older))
}

test.run()
