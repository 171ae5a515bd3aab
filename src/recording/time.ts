/** Times, lengths of time and sizes as users write them. */
import { jsonText } from '../trace/index.js'
import { UsageError } from '../usage-error.js'
import type { Span } from './recording.js'

/** What a time is read by. */
export interface Reference {
  readonly now: Date
  /** The end of the recording: a time of day is the last such time up to it. */
  readonly end: Date
}

const must = 'a time such as 03:00, "3m ago" or 2026-01-31T03:00:00Z'
const seconds = { s: 1, m: 60, h: 3600, d: 86_400 } as const
const ofDay = /^([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(\.\d{1,3})?)?$/
const ofDate = /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)([Zz]|[+-]\d\d:\d\d)?)?$/

/** A time: of a day (local, the last such one in the recording), before now, or a date and time of RFC 3339, which is local without a zone. Throws UsageError. */
export function parseTime(option: string, text: string, reference: Reference): Date {
  const time = readTime(text, reference)
  if (time !== undefined) return time
  throw new UsageError(`${option} must be ${must}, got ${jsonText(text)}`)
}

/** `FROM-TO`, two times. Where TO is a time of day it is the first such one after FROM. Throws UsageError. */
export function parseSpan(option: string, text: string, reference: Reference): Required<Span> {
  for (const { index } of text.matchAll(/-/g)) {
    const [from, to] = [text.slice(0, index).trim(), text.slice(index + 1).trim()]
    if (readTime(from, reference) !== undefined && readTime(to, reference) !== undefined) return spanOf([option, option], from, to, reference)
  }
  throw new UsageError(`${option} must be two times with a - between them such as 02:00-02:10, got ${jsonText(text)}`)
}

/** The time from `begin` to `end`, each as `parseTime` reads it by its option; undefined where it is not limited. Throws UsageError. */
export function spanOf(
  [beginOption, endOption]: readonly [string, string], begin: string | undefined, end: string | undefined, reference: Reference,
): Required<Span> {
  const after = begin === undefined ? undefined : parseTime(beginOption, begin, reference)
  if (end === undefined) return { after, until: undefined }
  const until = after !== undefined && ofDay.test(end) ? firstAfter(after, end) : parseTime(endOption, end, reference)
  if (after === undefined || after < until) return { after, until }
  throw new UsageError(`${endOption} must be after the beginning, got ${jsonText(begin)} and ${jsonText(end)}`)
}

function readTime(text: string, { now, end }: Reference): Date | undefined {
  if (text === 'now') return now
  const [, number, unit] = /^(\d+(?:\.\d+)?) ?([smhd]) ago$/.exec(text) ?? []
  if (number !== undefined) return valid(now.getTime() - Number(number) * 1000 * seconds[unit as keyof typeof seconds])
  if (ofDay.test(text)) return atDay(end, 0, text) <= end ? atDay(end, 0, text) : atDay(end, -1, text)
  const [, date, clock = '00:00', zone = ''] = ofDate.exec(text) ?? []
  return date === undefined ? undefined : valid(Date.parse(`${date}T${clock}${zone.toUpperCase()}`))
}

function valid(milliseconds: number): Date | undefined {
  const time = new Date(milliseconds)
  return Number.isNaN(time.getTime()) ? undefined : time
}

function firstAfter(time: Date, text: string): Date {
  return atDay(time, 0, text) > time ? atDay(time, 0, text) : atDay(time, 1, text)
}

/** A time of day on the local day of `time`, or so many days later. */
function atDay(time: Date, days: number, text: string): Date {
  const [, hour, minute, second = '0', fraction = '0'] = ofDay.exec(text)!
  return new Date(time.getFullYear(), time.getMonth(), time.getDate() + days, Number(hour), Number(minute), Number(second), Math.round(1000 * Number(fraction)))
}

/** Seconds of a length of time such as `7d`, `90m`, `30s` or `1.5h`. Throws UsageError. */
export function parseLength(option: string, text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text) ?? []
  const value = Number(number) * seconds[unit as keyof typeof seconds]
  if (value > 0) return value
  throw new UsageError(`${option} must be a length of time such as 7d, 12h, 90m or 30s, got ${jsonText(text)}`)
}

const powers = ['', 'K', 'M', 'G', 'T']

/** Bytes of a size such as `500M`, `1G` or `1.5T`, in powers of 1024. Throws UsageError. */
export function parseSize(option: string, text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([KMGT]?)$/i.exec(text) ?? []
  const value = Math.round(Number(number) * 1024 ** powers.indexOf(unit.toUpperCase()))
  if (value > 0) return value
  throw new UsageError(`${option} must be a size such as 500M or 1G, got ${jsonText(text)}`)
}
