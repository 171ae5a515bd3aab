import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Plan } from '../../src/backend/plan.js'
import type { Filter } from '../../src/program/index.js'
import { distinct, plansOf, without } from '../kit/fixture.js'
import { Random } from '../kit/random.js'
import { isTrue, isTrueAtEnd } from './check.js'
import { flag, type Socket } from './socket.js'
import { pidNamespace, World } from './world.js'

/** Where what calls return is counted for sockets whose own counters mean other things. */
const byCall = distinct.filter(({ plan }) => plan.variant.calls)
/** Those of them that count an MPTCP socket so, some on kernels where it cannot be counted by its own counters. */
const mptcpByCall = byCall.flatMap(one => {
  if (!one.plan.programs.some(({ name }) => name === 'tcptop_mptcp')) return [one]
  const machine = without(one, 'mptcp_release_cb')
  const planWith = (filter: Partial<Filter> = {}) => (plansOf(machine, one.backend, filter) as readonly Plan[]).find(({ variant }) => variant === one.plan.variant)!
  return [{ ...machine, planWith, plan: planWith(), title: `${one.title} without mptcp_release_cb` }]
})
/** Both processes that filters want, and one that they do not. */
const [ours, also, theirs] = [100, 200, 300]

for (const one of mptcpByCall) {
  test(`${one.title}: an MPTCP socket counts what its calls return, its subflows nothing, and its end is seen`, () => {
    const world = new World(one, new Random())
    const socket = world.multipath().open()
    socket.send(ours, 1000)
    socket.send(also, 200)
    socket.receive(ours, 30)
    socket.peek(ours, 30)
    socket.readErrors(ours, 40)
    isTrue(world)
    assert.is(world.over(), 0)
    socket.close(ours)
    isTrueAtEnd(world)
  })

  test(`${one.title}: an MPTCP socket that a filter does not want has no row`, () => {
    const world = new World(one, new Random(), { filter: { pids: [ours] } })
    const socket = world.multipath().open()
    socket.send(theirs, 1000)
    socket.receive(ours, 1)
    socket.send(ours, 30)
    isTrue(world)
  })
}

for (const one of byCall) {
  test(`${one.title}: what goes through a sockmap is the caller's, and counts once`, () => {
    const world = new World(one, new Random())
    const [from, to] = [world.redirected(), world.redirected()]
    for (const socket of [from, to]) {
      socket.open({ pid: ours })
      socket.send(ours, 10)
      socket.redirect()
    }
    from.give(ours, 5000)
    to.pass(5000)
    to.give(also, 20)
    to.pass(20)
    isTrue(world)
    // Nothing is given to another socket: its own bytes.
    to.send(also, 300, { flags: flag.dontWait })
    from.get(ours, 400)
    from.get(also, 50, flag.peek)
    from.get(also, 50, flag.errorQueue)
    isTrue(world)
    for (const socket of [from, to]) socket.finish(ours)
    isTrueAtEnd(world)
  })
}

for (const one of distinct) {
  test(`${one.title}: of a connection that is older than the tool counts what comes later, for the process that has it`, () => {
    const random = new Random()
    random.repeat(10, () => {
      const world = new World(one, random, { isEarly: true })
      const sockets = [
        world.socket().open({ pid: ours, family: 'v6' }),
        world.socket().accept({ pid: also, family: 'mapped' }),
        world.socket().accept(),
      ]
      const [opened, accepted, unowned] = sockets as [Socket, Socket, Socket]
      opened.send(ours, 1 + random.below(100_000))
      opened.acknowledge(random.pick([0, 0.5, 1]))
      accepted.arrive(500)
      accepted.receive(also, 100)
      if (random.chance(0.5)) accepted.end()
      if (random.chance(0.5)) opened.shutdown(ours)
      world.attach(sockets)
      isTrue(world)
      assert.is(world.entries().all, 3)
      // The kernel takes bytes before any process does.
      if (!world.sees('release_sock')) accepted.consume(300)
      accepted.receive(also, accepted.unread)
      if (opened.canSend) opened.send(theirs, 50)
      unowned.send(theirs, 7)
      unowned.arrive(70)
      unowned.receive(ours, 70)
      isTrue(world)
      for (const socket of sockets) socket.finish(also)
      isTrueAtEnd(world)
    })
  })

  test(`${one.title}: what a disconnect adds to the sequence numbers of a socket that had ended before the tool is no byte`, () => {
    for (const keepsPort of [false, true]) {
      for (const sent of [0, 1, 1000]) {
        const world = new World(one, new Random(), { isEarly: true })
        const socket = world.socket().accept({ pid: ours, keepsPort })
        if (sent > 0) socket.send(ours, sent)
        socket.reset()
        world.attach([socket])
        isTrue(world)
        socket.disconnect(ours)
        isTrue(world)
        socket.open({ pid: ours, keepsPort })
        socket.send(ours, 10)
        isTrue(world)
        socket.finish(ours)
        isTrueAtEnd(world)
      }
    }
  })

  test(`${one.title}: a socket that connects once more goes on with its port, or has an entry for each`, () => {
    const random = new Random()
    random.repeat(10, () => {
      const world = new World(one, random)
      const keepsPort = random.chance(0.5)
      const socket = world.socket()
      for (let time = 0; time < 3; time++) {
        socket.open({ pid: ours, keepsPort })
        socket.send(random.pick(world.pids), 1 + random.below(1000))
        socket.arrive(60)
        socket.receive(random.pick(world.pids), 50)
        if (random.chance(0.5)) socket.acknowledge(1)
        isTrue(world)
        if (random.chance(0.5)) socket.shutdown(ours)
        socket.disconnect(ours)
        isTrue(world)
      }
      socket.finish(ours)
      isTrueAtEnd(world)
    })
  })

  test(`${one.title}: an entry tells when its connection was established, and when it ended though its socket is open`, () => {
    const second = 1_000_000_000n
    const isSecond = (time: bigint) => assert.ok(time >= second && time < second + 1_000_000n, `${time} ns`)
    for (const begin of ['open', 'accept'] as const) {
      const world = new World(one, new Random())
      const socket = world.socket()[begin]({ pid: ours })
      socket.send(ours, 5)
      world.wait(second)
      assert.is(world.lives()[0]!.ended, 0n)
      socket.reset()
      world.wait(second)
      socket.close(ours)
      const [{ opened, ended }] = world.lives() as [{ opened: bigint; ended: bigint }]
      isSecond(ended - opened)
    }
    const world = new World(one, new Random())
    const socket = world.socket().open({ pid: ours, keepsPort: true })
    socket.disconnect(ours)
    world.wait(3n * second)
    socket.open({ pid: ours, keepsPort: true })
    assert.is(world.lives().at(-1)!.ended, 0n)
    world.wait(second)
    socket.finish(ours)
    const { opened, ended } = world.lives().at(-1)!
    isSecond(ended - opened)
  })

  test(`${one.title}: what is sent while programs are left out is charged at the close, to whoever used the socket last`, () => {
    for (const isShared of [false, true]) {
      const world = new World(one, new Random())
      const socket = world.socket().open({ pid: ours })
      socket.send(ours, 5)
      if (isShared) socket.send(also, 6)
      socket.slip('tx', 1000)
      socket.slip('rx', 300)
      // Where a process lets go of the socket, or packets leave, it is charged with what is found then.
      const closer = world.sees('release_sock') || world.sees('net_dev_queue') ? isShared ? also : ours : theirs
      socket.close(closer)
      socket.finish(closer)
      isTrueAtEnd(world)
    }
  })

  test(`${one.title}: a socket whose end was missed leaves nothing to the next one at its address`, () => {
    const world = new World(one, new Random())
    const socket = world.socket().open({ pid: ours })
    socket.send(ours, 5)
    socket.endUnseen()
    socket.renew()
    socket.open({ pid: also })
    socket.send(also, 70)
    socket.arrive(8)
    socket.receive(also, 8)
    isTrue(world)
  })

  test(`${one.title}: a process that a filter does not want leaves nothing to those that it wants`, () => {
    const world = new World(one, new Random(), { filter: { pids: [ours, also] } })
    const socket = world.socket().open({ pid: theirs })
    socket.send(theirs, 50)
    socket.send(ours, 7)
    socket.send(theirs, 50)
    socket.send(theirs, 60, { isCorked: true })
    socket.send(ours, 8)
    socket.arrive(900)
    socket.receive(theirs, 100)
    if (!world.sees('release_sock')) socket.consume(100)
    socket.receive(also, 200)
    if (!world.sees('release_sock')) socket.consume(100)
    socket.send(theirs, 50)
    socket.slip('tx', 40)
    socket.finish(ours)
    isTrueAtEnd(world)
  })

  test(`${one.title}: what processes are called in the tool's namespace is noted of those that move bytes`, () => {
    const world = new World(one, new Random(), { filter: { pidNamespace } })
    const socket = world.socket().open({ pid: ours })
    for (const pid of [also, ours, theirs]) socket.send(pid, 10)
    isTrue(world)
    assert.equal(world.inside(), { [ours]: 1, [also]: 2 })
  })

  test(`${one.title}: an urgent byte that was read ahead of the stream counts once, also when the stream never comes to it`, () => {
    for (const passes of [true, false]) {
      const world = new World(one, new Random())
      const socket = world.socket().open({ pid: ours })
      socket.send(ours, 5)
      socket.arrive(40)
      socket.urgent(ours, true, 0, { passes })
      socket.finish(ours)
      isTrueAtEnd(world)
    }
  })

  test(`${one.title}: more than 4 GiB on one connection`, () => {
    const world = new World(one, new Random())
    const socket = world.socket().open({ pid: ours })
    for (let time = 0; time < 7; time++) {
      socket.send(ours, 2 ** 30)
      socket.acknowledge(1)
      socket.arrive(2 ** 30)
      socket.receive(ours, 2 ** 30)
    }
    isTrue(world)
  })
}

test.run()
