import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { distinct } from '../kit/fixture.js'
import { Random } from '../kit/random.js'
import { startOf, World } from './world.js'

const renaming = distinct.filter(({ plan }) => plan.programs.some(({ name }) => name === 'tcptop_rename'))
test('wherever there are typed tracepoints with what they call, or raw ones, renames are seen', () => {
  assert.equal(distinct.filter(one => !renaming.includes(one)).map(({ title }) => title), [])
})

for (const one of renaming) {
  test(`${one.title}: a process has the name that it got last, 15 bytes of it, whatever its threads are called`, () => {
    const random = new Random()
    const world = new World(one, random)
    const [pid, other] = world.pids
    world.renameThread(pid)
    assert.equal(world.names(), {})
    world.rename(pid, undefined, 'a name that is too long')
    assert.equal(world.names(), { [pid]: { name: 'a name that is ', start: startOf(pid) } })
    world.rename(pid, undefined, 'b')
    world.rename(other, undefined, '')
    world.renameThread(other)
    assert.equal(world.names(), { [pid]: { name: 'b', start: startOf(pid) }, [other]: { name: '', start: startOf(other) } })
  })
}

for (const one of distinct) {
  test(`${one.title}: entries tell when their process started, also those of further processes`, () => {
    const world = new World(one, new Random())
    const socket = world.socket().open({ pid: world.pids[0] })
    for (const pid of [...world.pids, ...world.pids]) {
      socket.send(pid, 1000)
      socket.receive(pid, 10)
    }
    world.drain()
    assert.equal(world.starts(), Object.fromEntries(world.pids.map(pid => [pid, startOf(pid)])))
  })
}

test.run()
