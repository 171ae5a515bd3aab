import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mapName } from '../../src/program/index.js'
import { distinct, possible } from '../fixture.js'
import { Random } from '../random.js'
import { World } from './world.js'

type Socket = ReturnType<World['socket']>

const tracepoint = possible.filter(({ backend, plan }) => backend.name === 'tracepoint' && plan.programs.some(({ name }) => name === 'tcptop_tx'))
const pocketed = distinct.filter(({ plan }) => plan.maps.some(({ name }) => name === mapName.pockets))

/** A process sends or receives. */
function use(socket: Socket, pid: number, random: Random): void {
  const bytes = 1 + random.below(random.pick([10, 2 ** 16, 2 ** 26]))
  if (random.chance(0.5)) socket.send(pid, bytes)
  else socket.receive(pid, bytes)
  socket.acknowledge(random.pick([0, 0.5, 1]))
}

for (const one of tracepoint) {
  test(`${one.title}: every byte is charged to the process that moved it, also where sequence numbers begin anew`, () => {
    const random = new Random()
    random.repeat(30, () => {
      const world = new World(one, random)
      const socket = world.socket()
      socket.connect(7, 1)
      socket.establish()
      for (let turn = 0; turn < 20; turn++) use(socket, random.pick(world.pids), random)
      assert.equal(world.counted(), world.moved)
    })
  })
}

for (const one of pocketed) {
  test(`${one.title}: what is in pockets is counted when they are emptied, whoever wants the same one, is renamed, or ends unseen`, () => {
    const random = new Random()
    random.repeat(10, () => {
      const world = new World(one, random)
      let made = 0
      let unseen = 0
      /** Of few cookies, which come again and again with another upper half: by their lower one they have few pockets. */
      const open = (socket: Socket, cookie = ++made * 2 ** 32 + random.below(4)) => {
        socket.connect(cookie, ++made)
        if (random.chance(0.2)) {
          socket.end(false)
          socket.connect(cookie, ++made)
        }
        socket.establish()
        return { socket, cookie, users: random.pick([world.pids.slice(0, 1), world.pids]) }
      }
      const connections = Array.from({ length: 8 }, () => open(world.socket()))
      /** Something that one of them does. */
      const happening = (index: number) => () => {
        const { socket, cookie, users } = connections[index]!
        const chance = random.below(100)
        if (chance < 88) use(socket, random.pick(users), random)
        else if (chance < 93) socket.released()
        else if (chance < 96) {
          socket.end(random.chance(0.3))
          connections[index] = open(socket, cookie)
        } else {
          const isUnseen = random.chance(0.3)
          socket.end(isUnseen)
          if (isUnseen) unseen++
          else socket.destroy()
          connections[index] = open(socket)
        }
      }
      const empty = () => world.emptyPockets()
      for (let turn = 0; turn < 200; turn++) {
        const index = random.below(connections.length)
        const chance = random.below(100)
        if (chance < 5) world.rename(random.pick(world.pids))
        else if (chance < 60) world.atOnce(happening(index), empty)
        else if (chance < 80) world.atOnce(happening(index), happening((index + 1) % connections.length))
        else if (chance < 95) world.atOnce(empty, happening(index))
        else {
          empty()
          assert.equal(world.counted(), world.moved)
        }
      }
      for (const { socket } of connections) {
        socket.end(false)
        socket.destroy()
      }
      empty()
      assert.equal(world.counted(), world.moved)
      assert.is(world.lost(), 0n)
      empty()
      assert.ok(world.taken() <= unseen, `${world.taken()} pockets are taken`)
    })
  })

  test(`${one.title}: a process that goes on has a pocket, and who comes after it when that is free`, () => {
    const world = new World(one, new Random())
    const [pid] = world.pids
    const next = 2 ** 32
    const socket = world.socket()
    const open = (cookie: number, port: number) => {
      socket.connect(cookie, port)
      socket.establish()
    }
    const send = (times: number) => {
      for (let time = 0; time < times; time++) socket.send(pid, 1000)
    }
    const sent = (port: number) => world.counted()[`${port} ${pid}`]?.tx
    open(5, 1)
    send(5)
    assert.is(sent(1), 2000n)
    world.emptyPockets()
    assert.is(sent(1), 5000n)
    send(1)
    assert.is(sent(1), 5000n)
    world.rename(pid)
    send(1)
    assert.is(sent(1), 7000n)
    send(1)
    assert.is(sent(1), 7000n)
    socket.end(false)
    socket.destroy()
    assert.is(sent(1), 8000n)

    open(5 + next, 2)
    send(5)
    assert.is(sent(2), 5000n)
    world.emptyPockets()
    send(5)
    assert.is(sent(2), 6000n)
    world.emptyPockets()
    assert.equal(world.counted(), world.moved)
  })
}

test.run()
