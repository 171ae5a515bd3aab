import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Frame } from '../../src/frame/frame.js'
import { pour, type Sink } from '../../src/frame/sink.js'

/** A source that says when it is asked and when it is left. */
async function* source(said: string[], count = 2): AsyncGenerator<Frame> {
  try {
    for (let number = 1; number <= count; number++) {
      said.push(`make ${number}`)
      yield { flows: number } as Frame
    }
  } finally {
    said.push('close')
  }
}

function sinkOf(name: string, said: string[]): Required<Sink> {
  const say = async (text: string) => {
    await Promise.resolve()
    said.push(`${name} ${text}`)
  }
  return { start: () => say('start'), frame: ({ flows }) => say(`${flows}`), end: () => say('end') }
}

test('each frame goes to all sinks in turn, and the next is made when all have taken it', async () => {
  const said: string[] = []
  await pour(source(said), [sinkOf('a', said), { frame: sinkOf('b', said).frame }])
  assert.equal(said, ['a start', 'make 1', 'a 1', 'b 1', 'make 2', 'a 2', 'b 2', 'close', 'a end'])
})

test('when a sink fails no more frames are made, the source is closed, and no sink ends as if all were well', async () => {
  const said: string[] = []
  const failing: Sink = { frame: async () => { throw new Error('EPIPE') } }
  let message = ''
  await pour(source(said), [failing, sinkOf('b', said)]).catch(error => (message = error.message))
  assert.is(message, 'EPIPE')
  assert.equal(said, ['b start', 'make 1', 'close'])
})

test.run()
