import { setTimeout as sleep } from 'node:timers/promises'
import { test as uvu } from 'uvu'
import * as assert from 'uvu/assert'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'
import { startTool, type Tool } from './tool.js'
import { compile, differences, Run, type Truth } from './workload.js'

const { reason, cgroup } = standAlone()
if (reason === undefined) compile()
const test = (title: string, run: () => Promise<void>) => uvu(title, unless(reason, title, run))

/** Starts the tool so that it shows our own processes alone: foreign bytes are neither in its rows nor in what it says is lost. */
const startAlone = (args: readonly string[], interval: number) => startTool(['-c', cgroup, ...args], interval)

/** Runs `body` beside the tool, which ends with status 0 whatever happens. */
async function withTool(args: readonly string[], interval: number, body: (tool: Tool) => Promise<void>): Promise<Tool> {
  const tool = await startAlone(args, interval)
  try {
    await body(tool)
  } finally {
    assert.is(await tool.stop(), 0, tool.stderr)
  }
  return tool
}

async function truthOf(name: string, ...args: string[]): Promise<readonly Truth[]> {
  const { truth } = await new Run(name, args).finish()
  assert.ok(truth.length > 0)
  return truth
}

const sum = <T>(values: readonly T[], of: (value: T) => number) => values.reduce((total, value) => total + of(value), 0)
const lostIn = ({ lines }: Tool) => ({
  events: sum(lines, ({ lost }) => lost.events), rx: sum(lines, ({ lost }) => lost.rx), tx: sum(lines, ({ lost }) => lost.tx),
})
const nothing = { events: 0, rx: 0, tx: 0 }

function exact(truth: readonly Truth[], tool: Tool): void {
  const found = differences(truth, tool.lines)
  assert.is(found.length, 0, found.slice(0, 20).join('\n'))
  assert.equal(lostIn(tool), nothing)
}

/** What the rows of these processes say and what is lost add up to what was moved. */
function balanced(truth: readonly Truth[], tool: Tool): void {
  const pids = new Set(truth.map(({ pid }) => pid))
  const rows = tool.lines.flatMap(({ rows }) => rows).filter(({ pid }) => pids.has(pid))
  const lost = lostIn(tool)
  assert.is.not(sum(truth, ({ tx }) => tx), sum(truth, ({ rx }) => rx), 'if they were equal, nothing would notice that they are swapped')
  assert.is(sum(rows, ({ tx }) => tx) + lost.tx, sum(truth, ({ tx }) => tx), 'tx')
  assert.is(sum(rows, ({ rx }) => rx) + lost.rx, sum(truth, ({ rx }) => rx), 'rx')
}

test('sends that go on over many interval edges are exact', async () => {
  let truth: readonly Truth[] = []
  const tool = await withTool([], 0.1, async tool => {
    truth = await truthOf('steady-sends')
    await tool.next()
  })
  exact(truth, tool)
  const pid = truth[0]?.pid
  assert.ok(tool.lines.filter(({ rows }) => rows.some(row => row.pid === pid)).length >= 20, 'bytes in many intervals')
})

test('a reader that stops reading for a while loses nothing', async () => {
  let truths: (readonly Truth[])[] = []
  const tool = await withTool([], 0.1, async tool => {
    const steady = truthOf('steady-sends')
    // Thousands of rows in a frame fill the pipe at once.
    const many = truthOf('many-open-connections')
    tool.pause()
    await sleep(2000)
    tool.resume()
    truths = await Promise.all([steady, many])
    await tool.next()
  })
  for (const truth of truths) exact(truth, tool)
  assert.ok(tool.lines.some(({ interval }) => interval > 1), 'the tool was held up')
})

test('what was moved in an interval that a signal cuts short is in the last frame', async () => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    const tool = await startAlone([], 2)
    const before = tool.lines.length
    const truth = await truthOf('vectored-calls')
    assert.is(await tool.stop(signal), 0)
    exact(truth, tool)
    assert.ok(tool.lines.length <= before + 2)
    assert.ok((tool.lines.at(-1)?.interval ?? 9) < 1.99)
  }
})

test('with more connections than the map holds, rows and lost add up to the truth', async () => {
  let truth: readonly Truth[] = []
  const tool = await withTool(['--max-flows', '100'], 0.5, async tool => {
    truth = await truthOf('many-open-connections')
    await tool.next()
  })
  balanced(truth, tool)
  assert.ok(lostIn(tool).events > 0)
})

test('fifty thousand connections go through a map that holds a part of them, and none is missed', async () => {
  let truth: readonly Truth[] = []
  /** Flows in the map after the latest frame; foreign sockets have some too. */
  const flows = ({ stderr }: Tool) => Number([...stderr.matchAll(/^flows (\d+)/gm)].at(-1)?.[1])
  let before = 0
  const tool = await withTool(['--max-flows', '60000', '-v'], 1, async tool => {
    await tool.next()
    before = flows(tool)
    truth = await truthOf('short-connections', '10')
    // Two walks: the first sees what is over, the second takes it out.
    for (let frames = 0; frames < 3; frames++) await tool.next()
  })
  exact(truth, tool)
  const left = flows(tool) - before
  assert.ok(left < 1000, `${left} flows are left in the map`)
})

test('connections that come and go leave nothing behind in map or memory', async () => {
  const rounds = Number(process.env.SOAK_ROUNDS ?? 6)
  const sizes: number[] = []
  const tool = await withTool(['-v', '-r', '5'], 0.5, async tool => {
    for (let round = 0; round < rounds; round++) {
      await truthOf('short-connections', '4')
      for (let frames = 0; frames < 3; frames++) await tool.next()
      sizes.push(Number(/memory ([\d.]+) MiB\s*$/.exec(tool.stderr.trimEnd())?.[1]))
    }
  })
  assert.equal(lostIn(tool), nothing)
  const [, second = 0] = sizes
  assert.ok((sizes.at(-1) ?? Infinity) < second * 1.25 + 8, `memory in MiB after each round: ${sizes.join(', ')}`)
})

uvu.run()
