import type { Kernel, Socket } from '../../syscall/index.js'
import { type Plan, startSession } from '../backend/index.js'
import { loadAggregate, type Row } from '../frame/index.js'
import { Scope, startFirst } from '../trace/index.js'
import { groupings } from '../view/index.js'

/** Bytes that the client and the server send: both have several digits that are not the other's. */
const sent = { client: 5003, server: 12_011 } as const
const waitForAll = 0x100

/**
 * Whether plans that know by a file where the kernel keeps things count a connection as it was: one over the loopback interface, with known bytes,
 * between two sockets of ours, which are closed again. The plans have no filter. Returns what is wrong, undefined when all is right. Throws
 * SyscallError and VerifierError where the connection cannot be made or no plan starts.
 */
export async function selfCheck(plans: Iterable<Plan>, kernel: Kernel): Promise<string | undefined> {
  const scope = new Scope()
  try {
    const grouping = groupings[0]!
    const aggregate = await loadAggregate(grouping.mask())
    const { started } = startFirst(plans, plan => scope.own(startSession(plan, kernel)))
    const [client, server] = exchange(kernel)
    aggregate.drain(started.flows)
    aggregate.next()
    const sort = grouping.sorts.get('all')!
    const found = aggregate.pick({ mask: grouping.mask(), sort, limit: Infinity, byFamily: grouping.byFamily, read: grouping.decode })
    return wrongIn(found, client, server, sent.client, sent.server) ?? wrongIn(found, server, client, sent.server, sent.client)
  } finally {
    scope.close()
  }
}

function wrongIn(rows: readonly Row[], from: number, to: number, tx: number, rx: number): string | undefined {
  const row = rows.find(({ family, laddr, lport, raddr, rport }) =>
    family === 4 && laddr === '127.0.0.1' && raddr === '127.0.0.1' && lport === from && rport === to)
  if (row === undefined) return 'a connection over the loopback interface is not found'
  return row.rx === rx && row.tx === tx ? undefined
    : `of a connection over the loopback interface, which received ${rx} bytes and sent ${tx}, ${row.rx} and ${row.tx} are counted`
}

/** Moves bytes both ways over a connection, and returns the ports of its ends. */
function exchange(kernel: Kernel): readonly [client: number, server: number] {
  const scope = new Scope()
  const move = (from: Socket, to: Socket, bytes: number) => {
    from.send(new Uint8Array(bytes))
    to.receive(bytes, waitForAll)
  }
  try {
    const listener = scope.own(kernel.openSocket({ family: 4 }))
    listener.bind({ bytes: Uint8Array.of(127, 0, 0, 1), port: 0 })
    listener.listen(1)
    const client = scope.own(kernel.openSocket({ family: 4 }))
    client.connect(listener.localAddress())
    const server = scope.own(listener.accept())
    move(client, server, sent.client)
    move(server, client, sent.server)
    return [client.localAddress().port, listener.localAddress().port]
  } finally {
    scope.close()
  }
}
