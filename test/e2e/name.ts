import { test as uvu } from 'uvu'
import * as assert from 'uvu/assert'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'
import { type Line, startTool } from './tool.js'
import { compile, Run, type Truth } from './workload.js'

const { reason } = standAlone()
const test = (title: string, run: () => Promise<void>) => uvu(title, unless(reason, title, run))

/** The backend that is tested; the one that is chosen if not told otherwise. */
const backend = process.env.TCPTOP_BACKEND ?? 'auto'

/** Seconds of a frame: some more on a machine that is so much slower. */
const interval = Math.min(5, Number(process.env.TCPTOP_PATIENCE ?? 1))
/** How often a case is run until all of it happens in one frame. */
const tries = 5

/**
 * Runs a case beside the tool until all that one of its processes moves is in one frame. Returns that frame's rows of it, one after the other,
 * or why the kernel cannot run the case.
 */
async function inOneFrame(name: string, by: string, belongs: (row: Line['rows'][number], truth: readonly Truth[]) => boolean) {
  compile()
  const tool = await startTool(['--by', by, '--backend', backend], interval)
  try {
    for (let left = tries; left > 0; left--) {
      const run = new Run(name)
      await run.ready()
      await tool.next()
      const first = tool.lines.length
      const { truth, skipped } = await run.finish()
      if (skipped !== undefined) return skipped
      await tool.next()
      const frames = tool.lines.slice(first).map(({ rows }) => rows.filter(row => belongs(row, truth))).filter(rows => rows.length > 0)
      if (frames.length === 1) return { rows: frames[0]!, truth }
    }
    throw new Error(`in ${tries} tries ${name} was never in one frame`)
  } finally {
    assert.is(await tool.stop(), 0, tool.stderr)
  }
}

/** Checks what the case came to, unless the kernel cannot run it. */
function check(title: string, run: () => ReturnType<typeof inOneFrame>, judge: (seen: Exclude<Awaited<ReturnType<typeof inOneFrame>>, string>) => void) {
  test(title, async () => {
    const seen = await run()
    if (typeof seen === 'string') return unless(seen, title, () => {})() as void
    judge(seen)
  })
}

const ofProcess = ({ pid }: { readonly pid: number }, truth: readonly Truth[]) => truth.some(row => row.pid === pid)
const bytes = ({ rx, tx }: { readonly rx: number; readonly tx: number }) => [rx, tx]
/** The names are the case's own. */
const names = ['first-name', 'second-name', 'exe', 'last-name']
const isOurs = ({ comm }: Line['rows'][number]) => names.includes(comm)

check('a process renamed by prctl and exec between connections is one row, with the name that it has in the end',
  () => inOneFrame('renamed-between-connections', 'process', ofProcess),
  ({ rows }) => assert.equal(rows.map(({ comm, rx, tx }) => [comm, rx, tx]), [['last-name', 1200, 6200]]))

check('its connections have the name that it has in the end, and each is one row',
  () => inOneFrame('renamed-between-connections', 'connection', ofProcess),
  ({ rows, truth }) => {
    assert.equal(new Set(rows.map(({ comm }) => comm)), new Set(['last-name']))
    assert.equal(rows.map(bytes).sort(), truth.map(bytes).sort())
  })

check('by comm, bytes stay with the name under which they were counted',
  () => inOneFrame('renamed-between-connections', 'comm', isOurs),
  ({ rows }) => assert.equal(
    rows.map(({ comm, rx, tx }) => [comm, rx, tx]).sort(), [['exe', 0, 5000], ['first-name', 1000, 1000], ['second-name', 200, 200]]))

check('processes that have one id after the other are a row each',
  () => inOneFrame('pid-reused', 'process', ofProcess),
  ({ rows }) => {
    assert.is(new Set(rows.map(({ pid }) => pid)).size, 1)
    assert.equal(rows.map(({ comm, rx, tx }) => [comm, rx, tx]), [['the-same', 1000, 1000], ['the-same', 200, 200], ['another', 30, 30]])
  })

uvu.run()
