import { packageVersion } from '../asset.js'
import { type Frame, pour } from '../frame/index.js'
import { choice, type CommandLine, groupingOf, optionsOf, path, pids, sortOf, whole } from '../option/index.js'
import {
  compare, differenceJson, differenceText, keysOf, only, openRecorder, parseLength, parseSize, parseSpan, parseTime, recorded, type RecordedFrame,
  recordedFrames, Recording, type Reference, type Span, spanOf, Sum, summedFrames,
} from '../recording/index.js'
import { jsonText } from '../trace/index.js'
import { UsageError } from '../usage-error.js'
import { formats, type Grouping, printed, withHidden } from '../view/index.js'
import { originOf, watch } from './watch.js'
import type { World } from './world.js'

type Line = CommandLine<string>

/** Records until the user has seen enough, by default by `by`; returns the exit status. Throws UsageError, RecordingError and what `watch` throws. */
export async function record(line: Line, world: World, by: string): Promise<number> {
  const options = { ...optionsOf(line), grouping: groupingOf(line.value('by') ?? by) }
  const [output, keep, maxSize] = [line.value('output'), line.value('keep'), line.value('max-size')]
  if (output === undefined) throw new UsageError('record must have an --output, got none')
  const recorder = await openRecorder(path('--output', 'the path of a file or a directory', output), {
    run: { ...originOf(world), program: packageVersion(), by: options.grouping.name },
    ...keep === undefined ? {} : { keep: parseLength('--keep', keep) },
    ...maxSize === undefined ? {} : { maxSize: parseSize('--max-size', maxSize) },
    note: text => world.log(`tcptop: ${text}`),
    now: () => world.clock.date(),
  })
  try {
    const view = { grouping: withHidden(options.grouping), sort: options.sort, limit: options.rows ?? Infinity }
    await watch(options, world, [recorded(recorder, view)])
  } finally {
    await recorder.close()
  }
  return 0
}

/** Prints the frames of a recording. Throws UsageError. */
export async function replay(line: Line, world: World): Promise<number> {
  const grouping = groupingOf(line.value('by') ?? 'connection')
  return reading(line.rest, world, ([recording]) => {
    const at = line.value('at')
    // The frame whose bytes were moved then is the first that ended at that time or later.
    const after = at === undefined ? undefined : new Date(parseTime('--at', at, referenceOf(recording, world)).getTime() - 1)
    return show(recordedFrames(framesOf(recording, grouping, line, { after })), grouping, line, world)
  })
}

/** Prints sums of a recording. Throws UsageError, and RangeError for a sum that is not exact. */
export async function dump(line: Line, world: World): Promise<number> {
  const grouping = groupingOf(line.value('by') ?? 'connection')
  const every = line.value('every')
  const seconds = every === undefined ? undefined : parseLength('--every', every)
  return reading(line.rest, world, ([recording]) => {
    const span = spanOf(['--begin', '--end'], line.value('begin'), line.value('end'), referenceOf(recording, world))
    return show(summedFrames(framesOf(recording, grouping, line, span), grouping, seconds), grouping, line, world)
  })
}

/** Prints how two recordings differ, or two times. Throws UsageError, and RangeError for a sum that is not exact. */
export async function diff(line: Line, world: World): Promise<number> {
  const grouping = groupingOf(line.value('by') ?? 'comm')
  const limit = line.value('rows')
  const rows = limit === undefined ? Infinity : whole('--rows', limit, 1)
  const format = choice('--format', [{ name: 'table', text: differenceText }, { name: 'json', text: differenceJson }], line.value('format') ?? 'table', ' with diff')
  const [a, b] = [line.value('a'), line.value('b')]
  if (line.rest.length < 2 && (a === undefined || b === undefined)) throw new UsageError('diff must have two recordings, or one with --a and --b')
  return reading(line.rest, world, async ([before, other]) => {
    const after = other ?? before
    const sums = ([[before, '--a', a], [after, '--b', b]] as const).map(([recording, option, text]) => {
      const sum = new Sum(keysOf(grouping))
      const span = text === undefined ? {} : parseSpan(option, text, referenceOf(recording, world))
      for (const frame of framesOf(recording, grouping, line, span)) sum.add(frame)
      return sum
    })
    const difference = compare(sums[0]!, sums[1]!)
    if (difference === undefined) world.log('tcptop: there is nothing to compare: one of the two has no frames')
    else await world.out.write(format.text(difference, keysOf(grouping), rows))
    return 0
  })
}

/** Opens the recordings, which are closed in the end. Throws UsageError. */
async function reading(paths: readonly string[], world: World, use: (recordings: readonly [Recording, Recording | undefined]) => Promise<number>): Promise<number> {
  const recordings: Recording[] = []
  try {
    for (const text of paths) recordings.push(Recording.open('FILE', path('FILE', 'the path of a recording', text), note => world.log(`tcptop: ${note}`)))
    const [first, second] = recordings
    if (first === undefined) throw new UsageError('FILE must be the path of a recording, got nothing')
    return await use([first, second])
  } finally {
    for (const recording of recordings) recording.close()
  }
}

function referenceOf(recording: Recording, { clock }: World): Reference {
  const now = clock.date()
  return { now, end: recording.span?.end ?? now }
}

/** Recorded frames with the rows that are wanted. Throws UsageError for a grouping that is finer than the recording's. */
function* framesOf(recording: Recording, grouping: Grouping, line: Line, span: Span): Generator<RecordedFrame> {
  const where = whereOf(line)
  let known: string | undefined
  for (const frame of recording.frames(span)) {
    if (frame.origin.by !== known) checkBy(known = frame.origin.by, grouping)
    yield where === undefined ? frame : only(frame, where)
  }
}

/** Whether a row is wanted; undefined when all are. */
function whereOf(line: Line): Parameters<typeof only>[1] | undefined {
  if (line.has('ipv4') && line.has('ipv6')) throw new UsageError('only one of --ipv4 and --ipv6 may be given, got both')
  const processes = new Set(pids('--pid', line.values('pid')))
  const family = line.has('ipv4') ? 4 : line.has('ipv6') ? 6 : undefined
  if (processes.size === 0 && family === undefined) return undefined
  return row => (processes.size === 0 || processes.has(row.pid ?? -1)) && (family === undefined || row.family === family)
}

function checkBy(by: string, grouping: Grouping): void {
  const { fields, compared } = groupingOf(by)
  const known: ReadonlySet<string> = new Set([...compared, ...fields.map(({ name }) => name)])
  if (grouping.compared.every(name => known.has(name))) return
  throw new UsageError(`--by must be no finer than the recording, which is by ${jsonText(by)}, got ${jsonText(grouping.name)}`)
}

/** Prints frames of a recording, with a note when there are none. */
async function show(frames: AsyncIterable<Frame>, grouping: Grouping, line: Line, { out, log }: World): Promise<number> {
  const chosen = choice('--format', formats, line.value('format') ?? formats[0]!.name)
  const limit = line.value('rows')
  let count = 0
  await pour(frames, [
    printed({
      // What a table begins with is about what is yet to come.
      format: chosen.isForEyes ? { ...chosen, start: () => '' } : chosen,
      grouping, sort: sortOf(grouping, line.value('sort') ?? 'all'), ...limit === undefined ? {} : { rows: whole('--rows', limit, 1) },
      intervalText: '', summary: !line.has('nosummary'),
    }, out, () => {}),
    { frame: async () => void count++ },
  ])
  if (count === 0) log('tcptop: the recording has no frames of that time')
  return 0
}
