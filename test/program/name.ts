import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mapName } from '../../src/program/index.js'
import { distinct } from '../fixture.js'
import { Random } from '../random.js'
import { startOf, World } from './world.js'

const renaming = distinct.filter(({ plan }) => plan.programs.some(({ name }) => name === 'tcptop_rename'))
/** Where the world can move bytes. */
const moving = renaming.filter(({ plan }) => plan.programs.some(({ name }) => name === 'tcptop_tx') || plan.maps.some(({ name }) => name === mapName.pockets))

test('wherever there are typed tracepoints with what they call, or raw ones, renames are seen', () => {
  assert.equal(distinct.filter(one => !renaming.includes(one)).map(({ title }) => title), [])
  assert.ok(moving.length > 2)
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

for (const one of moving) {
  test(`${one.title}: flows and shares tell when their process started`, () => {
    const world = new World(one, new Random())
    const socket = world.socket()
    socket.connect()
    socket.establish()
    for (const pid of [...world.pids, ...world.pids]) socket.send(pid, 1000)
    assert.equal(world.starts(), Object.fromEntries(world.pids.map(pid => [pid, startOf(pid)])))
  })
}

test.run()
