import { test } from 'uvu'
import { distinct } from '../kit/fixture.js'
import { Random } from '../kit/random.js'
import { isTrue, isTrueAtEnd } from './check.js'
import type { Socket } from './socket.js'
import { World } from './world.js'

/** Where calls are seen when they have let go of the socket, so that others use it while a program runs. */
const unlocked = distinct.filter(({ plan }) => !plan.variant.locked && plan.variant.calls)
/** Repeats a check with one step more each time, until it says that there are no more. */
function atEveryStep(check: (step: number, random: Random) => boolean): void {
  const random = new Random()
  for (let step = 0, isLast = false; !isLast; step++) random.repeat(1, () => isLast = !check(step, random))
}

/** What else happens to a socket on another processor. */
const meanwhile: Readonly<Record<string, (socket: Socket, world: World) => void>> = {
  'another process sends': socket => socket.send(200, 700),
  'the same process sends': socket => socket.send(100, 700),
  'two others send': socket => {
    socket.send(200, 700)
    socket.send(300, 11)
  },
  'another process receives': socket => {
    socket.arrive(900)
    socket.receive(200, 900)
  },
  'the peer acknowledges': socket => socket.acknowledge(1),
  'another process shuts it down': socket => socket.shutdown(200),
  'the peer resets it': socket => socket.reset(),
  'programs flush': (_, world) => world.drain(),
}

/** Who has used the socket before. */
const before: Readonly<Record<string, (socket: Socket) => void>> = {
  nobody: () => {},
  itself: socket => socket.send(100, 5),
  'another process': socket => socket.send(200, 5),
}

for (const one of unlocked) {
  for (const [what, other] of Object.entries(meanwhile)) {
    for (const [whom, first] of Object.entries(before)) {
      test(`${one.title}: ${what} at any step of a program for a send, after ${whom}`, () => {
        atEveryStep((step, random) => {
          const world = new World(one, random)
          const socket = world.socket().open({ pid: 100 })
          first(socket)
          const isInside = world.during('sock_send_length', step, () => socket.send(100, 3000), () => other(socket, world))
          // A byte that may be the FIN is left to the close.
          if (socket.canSend) isTrue(world)
          socket.finish(100)
          isTrueAtEnd(world)
          return isInside
        })
      })
    }
  }
}

for (const one of distinct) {
  test(`${one.title}: a send that sleeps is charged with its own bytes, those that pass it with theirs`, () => {
    const random = new Random()
    random.repeat(20, () => {
      const world = new World(one, random)
      const socket = world.socket().open({ pid: 100 })
      if (random.chance(0.5)) socket.send(100, 5)
      socket.send(100, 4000, {
        meanwhile: () => {
          socket.send(200, 1000, { meanwhile: () => socket.send(300, 30) })
          socket.send(200, 7)
        },
      })
      isTrue(world)
      socket.finish(200)
      isTrueAtEnd(world)
    })
  })

  test(`${one.title}: programs flush at any step of a send and a receive`, () => {
    for (const direction of ['tx', 'rx']) {
      atEveryStep((step, random) => {
        const world = new World(one, random)
        const socket = world.socket().open({ pid: 100 })
        for (let time = 0; time < 3; time++) socket.send(100, 50)
        socket.arrive(200)
        socket.receive(100, 100)
        const move = () => direction === 'tx' ? socket.send(100, 1000) : socket.receive(100, 100)
        const isInside = world.during(undefined, step, move, () => world.drain())
        isTrue(world)
        return isInside
      })
    }
  })
}

test.run()
