import { test } from 'uvu'
import type { Filter } from '../../src/program/index.js'
import { distinct, type Possible } from '../kit/fixture.js'
import { Random } from '../kit/random.js'
import { balances, isTrue, isTrueAtEnd } from './check.js'
import type { Family, Opening, Socket } from './socket.js'
import { type Choice, pidNamespace, World } from './world.js'

/** Every way of choosing the first two processes, or a family. */
const filters: Readonly<Record<string, Partial<Filter>>> = {
  'no filter': {},
  pids: { pids: [100, 200] },
  'pids of a namespace': { pids: [1, 2], pidNamespace },
  cgroup: { cgroup: true },
  'cgroup ids': { cgroupIds: true },
  'mount namespaces': { mntnsIds: true },
  IPv4: { family: 4 },
  IPv6: { family: 6 },
}

/** A connection that begins in one of many ways. */
function begin(world: World, early: (socket: Socket) => void): Socket {
  const { random } = world
  const socket = world.socket()
  const pid = random.pick(world.pids)
  const family: Family = random.pick(['v4', 'v6', 'mapped'] as const)
  const opening: Opening = { family, pid, isUnseen: random.chance(0.1) }
  return random.pick([
    () => socket.open(opening),
    () => socket.accept(opening),
    () => socket.accept({ family }, () => early(socket)),
    () => socket.openFast(pid, 1 + random.below(1400), { family }),
    () => socket.repair({ family, pid }),
  ])()
}

/** One of many things happens to a connection; `depth` is how many sends sleep. */
function act(world: World, socket: Socket, depth = 0): void {
  const { random } = world
  // Only of a socket that a process has used already is it certain for whom the kernel works.
  const worksForIt = typeof socket.user === 'number'
  const pid = random.pick([...world.pids, world.pids[0], random.chance(0.2) && worksForIt ? world.daemon : world.pids[1]])
  const some = () => 1 + random.below(random.pick([10, 2 ** 12, 2 ** 24]))
  const send = () => socket.canSend ? socket.send(pid, some()) : socket.sendInVain(pid)
  const receive = () => {
    if (socket.canReceive) socket.arrive(some())
    if (socket.unread > 0) socket.receive(pid, random.chance(0.5) ? socket.unread : 1 + random.below(socket.unread))
  }
  random.pick([
    send, send, send, receive, receive, receive,
    () => socket.canSend && depth < 2 ? socket.send(pid, some(), { meanwhile: () => act(world, socket, depth + 1) }) : send(),
    () => socket.canSend && worksForIt && socket.user === pid && socket.send(pid, some(), { isCorked: true }),
    () => socket.peek(pid, 1 + socket.unread),
    () => socket.readErrors(pid, some()),
    () => socket.canReceive && socket.urgent(pid, random.chance(0.7), random.below(100), { meanwhile: () => random.chance(0.5) && send() }),
    () => !world.sees('release_sock') && socket.unread > 0 && worksForIt && socket.consume(1 + random.below(socket.unread)),
    () => socket.touch(pid),
    () => socket.acknowledge(random.pick([0, 0.5, 1])),
    () => socket.flush(),
    () => random.chance(0.3) && socket.shutdown(pid),
    () => random.chance(0.3) && socket.end(),
    () => random.chance(0.1) && socket.reset(),
    () => world.rename(random.pick(world.pids), () => random.chance(0.5) && send()),
  ])()
}

/** Several connections at a time, each through its whole life. */
function live(one: Possible, random: Random, choice: Choice, turns: number, check: (world: World) => void): World {
  const world = new World(one, random, choice)
  const early = (socket: Socket) => act(world, socket, 2)
  const sockets = Array.from({ length: 4 }, () => begin(world, early))
  for (let turn = 0; turn < turns; turn++) {
    const index = random.below(sockets.length)
    const socket = sockets[index]!
    if (random.chance(0.9)) act(world, socket)
    else if (random.chance(0.3)) {
      check(world)
    } else if (random.chance(0.5)) {
      socket.finish(random.pick(world.pids))
      sockets[index] = begin(world, early)
    }
  }
  for (const socket of sockets) socket.finish(random.pick(world.pids))
  return world
}

for (const one of distinct) {
  for (const [name, filter] of Object.entries(filters)) {
    test(`${one.title}, ${name}: every byte is in the row of the process that moved it`, () => {
      const random = new Random()
      random.repeat(3, () => isTrueAtEnd(live(one, random, { filter }, 60, isTrue)))
    })
  }

  for (const capacity of [0, 1, 3]) {
    test(`${one.title}, space for ${capacity}: every byte is in a row or lost`, () => {
      const random = new Random()
      random.repeat(5, () => balances(live(one, random, { capacity }, 60, () => {})))
    })
  }
}

test.run()
