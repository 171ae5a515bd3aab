/** Opens the recording that it is given, goes to its middle, and reads all of it; what that took is a line of JSON on stdout. */
import { Cursor, Recording, sums } from '../../src/recording/index.js'

const before = performance.now()
const recording = Recording.open('FILE', process.argv[2]!, note => console.error(note))
const { begin, end } = recording.span!
const frame = new Cursor(recording).seek(new Date((begin.getTime() + end.getTime()) / 2))
const opened = performance.now()
const rss = process.resourceUsage().maxRSS * 1024
const [sum] = sums(recording.frames(), { compared: ['comm'], shown: ['comm'] })
console.log(JSON.stringify({
  seconds: (opened - before) / 1000, opened: rss, rows: frame!.rows.length, members: recording.members, rx: sum!.total.rx,
  read: (performance.now() - opened) / 1000, most: process.resourceUsage().maxRSS * 1024,
}))
