import { type Command, either, specs } from '../option/index.js'
import { groupings } from '../view/index.js'
import type { World } from './world.js'

/** The commands about recordings. What they do is in recorded.ts, which is loaded when one of them is run. */

/** What a row is by default: every grouping can show a recording by this one. */
const finest = 'connection,port'

const { noclear: _, nosummary, pid, ipv4, ipv6, by, sort, rows, format, 'dump-bpf': __, help: ___, version: ____, ...counting } = specs

/** The options by which rows of a recording are chosen, and by which they are shown. */
const choosing = { pid: { ...pid, describe: 'only this process, as it was recorded; several: -p 1,2 or repeated' }, ipv4, ipv6 }
const showing = { by, sort, rows, format, nosummary, ...choosing }

const times = 'a time: 03:00 (local, the last such one), "3m ago", 2026-01-31T03:00:00Z'

export const record: Command<World> = {
  name: 'record',
  summary: 'write a recording',
  usage: '-o FILE|DIR [options] [interval] [count]',
  help: `Writes what moves to a recording, for replay, dump and diff: JSON lines in gzip,
on the disk once a minute and at the end. To a directory it writes a file a day.`,
  options: {
    output: { letter: 'o', value: 'PATH', describe: 'the file to add to, or the directory for a file a day of UTC (made where it ends in /)' },
    keep: { value: 'TIME', describe: 'delete files of the directory so long after their day: 7d, 12h' },
    'max-size': { value: 'SIZE', describe: 'delete the oldest files of the directory beyond so much: 500M, 1G' },
    by: { ...by, describe: `what a row is (default ${finest}, which can be shown by everything)` },
    sort,
    rows: { ...rows, describe: 'at most so many rows of each family in a frame; totals are of all' },
    pid, ipv4, ipv6, ...counting,
  },
  positionals: [{ name: 'interval' }, { name: 'count' }],
  examples: [
    ['$0 record -o x.jsonl.gz', 'every second until Ctrl-C'],
    ['$0 record -o /var/log/tcptop/ --keep 7d', 'a file a day, for a week'],
    ['$0 record -o x.jsonl.gz -r 20 10', 'the 20 largest rows every 10 seconds'],
  ],
  run: async (line, world) => (await import('./recorded.js')).record(line, world, finest),
}

export const replay: Command<World> = {
  name: 'replay',
  summary: 'print the frames of a recording',
  usage: 'FILE|DIR [--at TIME] [options]',
  help: 'Prints the frames of a recording as they were printed live.',
  options: { at: { value: 'TIME', describe: `begin there: ${times}` }, ...showing },
  positionals: [{ name: 'recording' }],
  examples: [['$0 replay x.jsonl.gz --at 03:00', 'from three in the morning on']],
  run: async (line, world) => (await import('./recorded.js')).replay(line, world),
}

export const dump: Command<World> = {
  name: 'dump',
  summary: 'sum up a recording',
  usage: 'FILE|DIR [--begin TIME] [--end TIME] [--every 1m] [options]',
  help: `Sums up a recording: all of it, a part of time, or each minute. A sum is printed
as a frame is. It is exact up to 2^53 bytes; one beyond is an error.`,
  options: {
    begin: { value: 'TIME', describe: `after ${times}` },
    end: { value: 'TIME', describe: 'until then' },
    every: { value: 'TIME', describe: 'a sum of each such time, which begins at a whole multiple of it in UTC: 1m, 1h' },
    ...showing,
  },
  positionals: [{ name: 'recording' }],
  examples: [
    ['$0 dump x.jsonl.gz --by host -r 10', 'the 10 busiest hosts'],
    ['$0 dump x.jsonl.gz --every 1m --by comm -f csv', 'each name by the minute'],
  ],
  run: async (line, world) => (await import('./recorded.js')).dump(line, world),
}

/** What outlives a process, so that it can be compared. */
const comparable = groupings.filter(({ name }) => ['comm', 'host', 'port', 'cgroup'].includes(name))

export const diff: Command<World> = {
  name: 'diff',
  summary: 'compare two recordings or times',
  usage: 'A B | FILE --a FROM-TO --b FROM-TO [options]',
  help: `Compares two recordings, or two times of one or two: what grew, shrank, appeared
and vanished, the largest change first. The exit status is 0 also when they differ.`,
  options: {
    a: { value: 'FROM-TO', describe: 'the time before, such as 02:00-02:10' },
    b: { value: 'FROM-TO', describe: 'the time after' },
    by: { ...by, choices: comparable.map(({ name }) => name), describe: `what is compared: ${either(comparable)} (default comm), or several, as comm,host` },
    rows: { ...rows, describe: 'at most so many rows' },
    format: { ...format, choices: ['table', 'json'], describe: 'what to print: table or json (default table)' },
    ...choosing,
  },
  positionals: [{ name: 'recording' }, { name: 'recording' }],
  examples: [['$0 diff x.jsonl.gz --a 02:00-02:10 --b 03:00-03:10', 'how 03:00 differs from 02:00']],
  run: async (line, world) => (await import('./recorded.js')).diff(line, world),
}
