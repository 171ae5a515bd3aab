import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { servicePorts } from '../../src/filter/index.js'

const file = `# a comment
ftp\t\t21/tcp
domain\t\t53/udp
web\t\t80/tcp\t\twww http\t# another
  spaced   8081/tcp
web\t\t81/tcp
big\t\t65536/tcp
broken\t\tx/tcp
sctp-only\t90/sctp
last\t\t65535/tcp`

test('services are those of TCP with their aliases, the first of a name', () => {
  const portOf = servicePorts(() => file)
  assert.equal(
    ['ftp', 'web', 'www', 'http', 'spaced', 'last', 'big', 'broken', 'sctp-only', 'constructor', '', '#', 'WEB'].map(portOf),
    [21, 80, 80, 80, 8081, 65_535, undefined, undefined, undefined, undefined, undefined, undefined, undefined],
  )
})

test('the file is read when the first name is asked for, and once', () => {
  let reads = 0
  const portOf = servicePorts(() => {
    reads++
    return file
  })
  assert.is(reads, 0)
  portOf('web')
  portOf('other')
  assert.is(reads, 1)
})

test('without the file, or a name in it, well-known services have their ports', () => {
  const portOf = servicePorts(() => {
    throw new Error('ENOENT')
  })
  assert.equal(['ssh', 'https', 'postgresql', 'web'].map(portOf), [22, 443, 5432, undefined])
  assert.is(servicePorts(() => 'https 444/tcp')('https'), 444)
  assert.is(servicePorts(() => file)('https'), 443)
})

test.run()
