import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mapName } from '../../src/program/index.js'
import { distinct } from '../kit/fixture.js'
import { Random } from '../kit/random.js'
import { isTrue } from './check.js'
import type { Socket } from './socket.js'
import { World } from './world.js'

const slotted = distinct.filter(({ plan }) => plan.maps.some(({ name }) => name === mapName.slots))

/** A process sends or receives. */
function use(socket: Socket, pid: number, random: Random): void {
  const bytes = 1 + random.below(random.pick([10, 2 ** 16, 2 ** 26]))
  if (random.chance(0.5)) socket.send(pid, bytes)
  else {
    socket.arrive(bytes)
    socket.receive(pid, bytes)
  }
  socket.acknowledge(random.pick([0, 0.5, 1]))
}

for (const one of slotted) {
  test(`${one.title}: what is in slots is counted when they are flushed, whoever wants the same one, is renamed, or ends unseen`, () => {
    const random = new Random()
    random.repeat(3, () => {
      const world = new World(one, random)
      let made = 0
      let unseen = 0
      /** Of few cookies, which come again and again with another upper half: by their lower one they have few slots. */
      const open = (socket: Socket, cookie = ++made * 2 ** 32 + random.below(4)) => {
        socket.connect({ cookie })
        if (random.chance(0.2)) {
          socket.reset()
          socket.connect({ cookie })
        }
        socket.establish()
        return { socket, cookie, users: random.pick([world.pids.slice(0, 1), world.pids]) }
      }
      const end = (socket: Socket, isUnseen: boolean) => isUnseen ? socket.endUnseen() : socket.reset()
      const connections = Array.from({ length: 8 }, () => open(world.socket()))
      /** Something that one of them does. */
      const happening = (index: number) => () => {
        const { socket, cookie, users } = connections[index]!
        const chance = random.below(100)
        if (chance < 88) use(socket, random.pick(users), random)
        else if (chance < 93) socket.touch(random.pick(users))
        else if (chance < 96) {
          end(socket, random.chance(0.3))
          connections[index] = open(socket, cookie)
        } else {
          const isUnseen = random.chance(0.3)
          end(socket, isUnseen)
          if (isUnseen) unseen++
          else socket.free()
          socket.renew()
          connections[index] = open(socket)
        }
      }
      const flush = () => world.flush()
      for (let turn = 0; turn < 200; turn++) {
        const index = random.below(connections.length)
        const chance = random.below(100)
        if (chance < 5) world.rename(random.pick(world.pids))
        else if (chance < 60) world.atOnce(happening(index), flush)
        else if (chance < 80) world.atOnce(happening(index), happening((index + 1) % connections.length))
        else if (chance < 95) world.atOnce(flush, happening(index))
        else {
          isTrue(world)
        }
      }
      for (const { socket } of connections) {
        socket.reset()
        socket.free()
      }
      isTrue(world)
      flush()
      assert.ok(world.taken() <= unseen, `${world.taken()} slots are taken`)
    })
  })

  test(`${one.title}: a process that goes on has a slot, and who comes after it when that is free`, () => {
    const world = new World(one, new Random())
    const [pid] = world.pids
    const next = 2 ** 32
    const socket = world.socket()
    const send = (times: number) => {
      for (let time = 0; time < times; time++) socket.send(pid, 1000)
    }
    const sent = () => world.counted()[`${socket.name} ${pid}`]?.tx
    socket.accept({ cookie: 5 })
    send(5)
    assert.is(sent(), 2000n)
    world.drain()
    assert.is(sent(), 5000n)
    send(1)
    assert.is(sent(), 5000n)
    world.rename(pid)
    send(1)
    assert.is(sent(), 7000n)
    send(1)
    assert.is(sent(), 7000n)
    socket.reset()
    socket.free()
    assert.is(sent(), 8000n)

    socket.renew()
    socket.accept({ cookie: 5 + next })
    send(5)
    assert.is(sent(), 5000n)
    world.drain()
    send(5)
    assert.is(sent(), 6000n)
    isTrue(world)
  })
}

test.run()
