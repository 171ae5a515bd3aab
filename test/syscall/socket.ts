import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openKernel, SyscallError } from '../../syscall/index.js'

const inet = Uint8Array.of(127, 0, 0, 1)
const inet6 = Uint8Array.of(...new Uint8Array(10), 0xff, 0xff, ...inet)
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
/** SOL_SOCKET, SO_KEEPALIVE, MSG_OOB, MSG_DONTWAIT, MSG_WAITALL */
const [level, keepAlive, oob, dontWait, waitAll] = [1, 9, 0x1, 0x40, 0x100]

for (const [family, bytes] of [[4, inet], [6, inet6]] as const) {
  test(`IPv${family}: what one end sends the other receives, up to the end of the stream`, () => {
    const kernel = openKernel()
    const listener = kernel.openSocket({ family })
    listener.bind({ bytes, port: 0 })
    listener.listen(1)
    const client = kernel.openSocket({ family })
    client.connect(listener.localAddress())
    const server = listener.accept()
    assert.equal(server.localAddress(), listener.localAddress())
    assert.equal(client.localAddress().bytes, bytes)
    assert.is(client.send(new TextEncoder().encode('hello')), 5)
    assert.is(text(server.receive(2, waitAll)), 'he')
    assert.is(text(server.receive(100)), 'llo')
    client.send(Uint8Array.of(7), oob)
    assert.equal(server.receive(1, oob), Uint8Array.of(7))
    assert.throws(() => server.receive(1, dontWait), (error: unknown) => error instanceof SyscallError && error.message === 'receive: EAGAIN')
    client.shutdown('writing')
    assert.is(server.receive(1).length, 0)
    for (const socket of [listener, client, server]) socket.close()
    assert.is(kernel.open, 0)
  })
}

test('options are numbers or bytes, and come back as what the kernel has', () => {
  const socket = openKernel().openSocket({ family: 4 })
  assert.equal(socket.option(level, keepAlive, 8), Uint8Array.of(0, 0, 0, 0))
  socket.setOption(level, keepAlive, 1)
  assert.equal(socket.option(level, keepAlive, 4), Uint8Array.of(1, 0, 0, 0))
  socket.setOption(level, keepAlive, new Uint8Array(4))
  assert.equal(socket.option(level, keepAlive, 4), new Uint8Array(4))
  socket.close()
})

test('a hasty socket begins to connect, one that waits is refused', () => {
  const kernel = openKernel()
  const nobody = kernel.openSocket({ family: 4 })
  nobody.bind({ bytes: inet, port: 0 })
  const patient = kernel.openSocket({ family: 4 })
  assert.throws(() => patient.connect(nobody.localAddress()), /^connect: ECONNREFUSED$/)
  const hasty = kernel.openSocket({ family: 4, hasty: true })
  const listener = kernel.openSocket({ family: 4 })
  listener.bind({ bytes: inet, port: 0 })
  listener.listen(1)
  hasty.connect(listener.localAddress())
  listener.accept().close()
  for (const socket of [nobody, patient, hasty, listener]) socket.close()
  assert.is(kernel.open, 0)
})

test.run()
