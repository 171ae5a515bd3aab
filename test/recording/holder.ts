/** Records frames without end to the path that it is given, as fast as it can; a line on stdout when it has begun. */
import { writeSync } from 'node:fs'
import { openRecorder } from '../../src/recording/index.js'
import { frames, run, Traffic } from './traffic.js'

try {
  const recorder = await openRecorder(process.argv[2]!, { run, note: () => {}, now: () => new Date() })
  writeSync(1, 'begun\n')
  for (const frame of frames(new Traffic(20), new Date('2026-01-01T00:00:00Z'), Infinity)) await recorder.write(frame)
} catch (error) {
  writeSync(2, `${(error as Error).message}\n`)
  process.exitCode = 1
}
