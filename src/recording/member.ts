/**
 * A member of a recording: frames of at most a minute as lines of JSON, compressed on their own. The bytes are one member of a gzip file (RFC 1952)
 * with an extra field that has the member's length and times, so that a reader finds its way through a file without decompressing it.
 *
 * ```
 * gzip    0    1    2   3        4       8     9    10     12        14       16       20       24         32       40       44
 *         | 1f | 8b | 8 | FEXTRA | mtime | XFL | OS | XLEN | 'T' 'C' | length | member | frames | earliest | latest | CRC-32 |
 *         then the deflated text, its CRC-32 and its length
 * text    {"recording":1,"member":"2026-…","previous":…,…,"identities":[[…],…]}
 *         {"member":"2026-…","time":"2026-…","interval":1.000312,"rows":[[0,17,4],…],"total":{…},…}       once a frame
 * ```
 *
 * tools/doc/recording.md describes it for those who write a reader.
 */
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib'
import type { Row, Shown } from '../frame/index.js'
import { jsonText, printable } from '../trace/index.js'
import { type Entry, type Identity, identityFields, isIdentity, numericFields, type RecordedFrame, type Run, withRows } from './frame.js'

/** Changes when a reader of before would misread what is written now; new fields do not change it. */
export const version = 1

/** What a member is finished at, whichever comes first: frames, seconds that they are of, characters of text. */
export const most = { frames: 60, seconds: 60, text: 4 * 1024 * 1024 } as const

/** What a reader takes at most for the text of one member: a frame of a million rows is far below. */
const mostText = 512 * 1024 * 1024

const newline = 0x0a
/** Bytes before the deflated text, and after it. */
export const headSize = 44
const tailSize = 8
/** What every member begins with, and what follows its mtime. */
const magic = Buffer.from([0x1f, 0x8b, 8, 4])
const fixed = Buffer.from([0, 3, headSize - 12, 0, 0x54, 0x43, headSize - 16, 0])
const fixedAt = 8
/** What of a head its checksum is of; that follows. */
const checkedUntil = headSize - 4

/** What a member's first bytes say of it. */
export interface Head {
  /** Bytes of the whole member. */
  readonly length: number
  readonly frames: number
  /** Milliseconds since 1970 of its earliest and its latest frame: they are the first and the last one unless the clock was set back. */
  readonly earliest: number
  readonly latest: number
}

/** Bytes that are no whole member. */
export class Damage extends Error {
  override readonly name = 'Damage'
}

/** What the head says; undefined when these bytes are none. `bytes` may be fewer: then as far as they are there, with a length of Infinity. */
export function headOf(bytes: Uint8Array): Head | undefined {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, headSize))
  const agrees = (expected: Uint8Array, at: number) => expected.every((byte, index) => at + index >= head.length || head[at + index] === byte)
  if (!agrees(magic, 0) || !agrees(fixed, fixedAt)) return undefined
  if (head.length < headSize) return { length: Infinity, frames: 0, earliest: 0, latest: 0 }
  const length = head.readUInt32LE(16)
  if (length < headSize + tailSize || head.readUInt32LE(checkedUntil) !== crc32(head.subarray(0, checkedUntil))) return undefined
  return { length, frames: head.readUInt32LE(20), earliest: Number(head.readBigUInt64LE(24)), latest: Number(head.readBigUInt64LE(32)) }
}

/** Where the next head may begin in `bytes` from `from` on; -1 when it does not. */
export function nextHead(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(magic, from); at >= 0; at = bytes.indexOf(magic, at + 1)) {
    if (at + headSize <= bytes.length && headOf(bytes.subarray(at)) !== undefined) return at
  }
  return -1
}

/** Makes members of frames, one after the other. Frames are kept as text. */
export class MemberWriter {
  #identities = new Map<string, number>()
  /** The identities as JSON, in the order of their numbers. */
  #texts: string[] = []
  #values = ['rx', 'tx']
  #lines: string[] = []
  #text = 0
  /** When its frames ended and its first one began, in milliseconds. */
  #times: number[] = []
  #begin = 0

  constructor(readonly run: Run) {}

  /** Frames of the member in the making. */
  get frames(): number {
    return this.#lines.length
  }

  /** Whether it is time to take the member; also when the clock was set back, so that frames within a member are in order. */
  get isFull(): boolean {
    const [first, last] = [this.#times[0] ?? 0, this.#times.at(-1) ?? 0]
    return this.frames >= most.frames || this.#text >= most.text || last - this.#begin >= 1000 * most.seconds || last < first
  }

  add({ origin: _, time, interval, rows, cost, ...rest }: Shown): void {
    if (this.#times.length === 0) this.#begin = time.getTime() - 1000 * interval
    this.#times.push(time.getTime())
    const line = `"time":${JSON.stringify(time)},"interval":${microseconds(interval)},"rows":[${rows.map(row => this.#entry(row)).join()}],${jsonText({
      ...rest, cost: { ...cost, cpu: microseconds(cost.cpu), drain: microseconds(cost.drain), run: cost.run === null ? null : microseconds(cost.run) },
    }).slice(1)}`
    this.#lines.push(line)
    this.#text += line.length
  }

  /** The bytes of the member, which begins where the file ends; `previous` is where the one before it does. The next frame is another member's. */
  take(previous: number | null): Buffer {
    const member = JSON.stringify(new Date(this.#times[0]!))
    const { host, boot, program, by } = this.run
    const start = `{"recording":${version},"member":${member},"previous":${previous},${jsonText({
      frames: this.frames, host, boot, program, by, fields: identityFields, values: this.#values,
    }).slice(1, -1)}`
    const text = Buffer.from([
      `${start},"identities":[${this.#texts.join()}]}\n`,
      ...this.#lines.map(line => `{"member":${member},${line}\n`),
    ].join(''))
    const body = deflateRawSync(text)
    const bytes = Buffer.alloc(headSize + body.length + tailSize)
    bytes.set(magic)
    bytes.writeUInt32LE(Math.floor(this.#times[0]! / 1000), 4)
    bytes.set(fixed, fixedAt)
    bytes.writeUInt32LE(bytes.length, 16)
    bytes.writeUInt32LE(this.frames, 20)
    bytes.writeBigUInt64LE(BigInt(Math.min(...this.#times)), 24)
    bytes.writeBigUInt64LE(BigInt(Math.max(...this.#times)), 32)
    bytes.writeUInt32LE(crc32(bytes.subarray(0, checkedUntil)), checkedUntil)
    bytes.set(body, headSize)
    bytes.writeUInt32LE(crc32(text), headSize + body.length)
    bytes.writeUInt32LE(text.length, headSize + body.length + 4)
    this.#identities = new Map()
    this.#texts = []
    this.#values = ['rx', 'tx']
    this.#lines = []
    this.#text = 0
    this.#times = []
    return bytes
  }

  /** A row's line: the number of its identity in the member, then what was measured. */
  #entry(row: Row): string {
    const fields = row as unknown as Readonly<Record<string, unknown>>
    // No name, address or path has a NUL. Two orders of fields would make two identities of one, which is not wrong.
    let key = ''
    for (const name in fields) {
      if (isIdentity.has(name)) key += `${name}\0${fields[name] as string}\0`
      else if (name !== 'rx' && name !== 'tx' && !this.#values.includes(name)) this.#values.push(name)
    }
    let index = this.#identities.get(key)
    if (index === undefined) {
      index = this.#identities.size
      this.#identities.set(key, index)
      const text = jsonText(identityFields.map(name => fields[name] ?? null))
      this.#texts.push(text)
      this.#text += text.length
    }
    if (this.#values.length === 2) return `[${index},${row.rx},${row.tx}]`
    return `[${index},${this.#values.map(name => jsonText(fields[name] ?? null)).join()}]`
  }
}

/** Seconds without the noise below a microsecond. */
function microseconds(seconds: number): number {
  return Math.round(seconds * 1e6) / 1e6
}

/** What a member's first line has. */
export interface Member {
  readonly run: Run
  /** Where the member before it begins in the file; null in the first one. */
  readonly previous: number | null
  /** Its frames, made when they are asked for. Throws Damage. */
  frames(): Generator<RecordedFrame>
}

/** Reads a member. Throws Damage when it is not whole, UnknownVersion when it is of a later version. */
export function readMember(bytes: Buffer): Member {
  const text = textOf(bytes)
  const end = text.indexOf(newline)
  const head = object(parse(text.toString('utf8', 0, end)))
  if (head.recording !== version) throw new UnknownVersion(head.recording)
  const values = list(head.values).map(textual)
  if (values[0] !== 'rx' || values[1] !== 'tx') throw new Damage('the values do not begin with rx and tx')
  if (values.slice(2).some(name => isIdentity.has(name) || name === 'rx' || name === 'tx')) throw new Damage('a value has the name of another field')
  const fields = list(head.fields).map(textual)
  const identities = list(head.identities).map(identity => identityOf(fields, list(identity)))
  const run = {
    host: textual(head.host), boot: head.boot === null ? null : textual(head.boot), program: textual(head.program), by: textual(head.by),
  }
  return {
    run,
    previous: head.previous === null ? null : whole(head.previous),
    *frames() {
      for (let at = end + 1; at < text.length;) {
        // Line by line, for the text of a member as one string would stay in memory until V8 looks at what is old.
        const next = text.indexOf(newline, at)
        yield frameOf(object(parse(text.toString('utf8', at, next))), identities, values, run)
        at = next + 1
      }
    },
  }
}

/** A member of a version that is not known here: nothing of it may be guessed. */
export class UnknownVersion extends Error {
  override readonly name = 'UnknownVersion'

  constructor(found: unknown) {
    super(`it is of version ${jsonText(found ?? null)}, and this tcptop reads version ${version}`)
  }
}

/** The text, which is what was written: its checksum says so. */
function textOf(bytes: Buffer): Buffer {
  const head = headOf(bytes)
  if (head === undefined || head.length !== bytes.length) throw new Damage('it has no head')
  const body = bytes.subarray(headSize, bytes.length - tailSize)
  const length = bytes.readUInt32LE(bytes.length - 4)
  if (length > mostText) throw new Damage('its text is too long')
  let text: Buffer
  try {
    text = inflateRawSync(body, { maxOutputLength: length })
  } catch (cause) {
    throw new Damage('it cannot be decompressed', { cause })
  }
  if (text.length !== length || crc32(text) !== bytes.readUInt32LE(bytes.length - tailSize)) throw new Damage('its checksum is wrong')
  if (text.at(-1) !== newline) throw new Damage('its last line has no end')
  return text
}

function identityOf(fields: readonly string[], values: readonly unknown[]): Identity {
  const identity: Record<string, unknown> = {}
  for (const [index, name] of fields.entries()) {
    const value = values[index] ?? null
    if (value !== null) identity[name] = numericFields.has(name) ? whole(value) : isAddress.has(name) ? address(value) : textual(value)
  }
  return identity
}

const isAddress: ReadonlySet<string> = new Set(['laddr', 'raddr'])

function frameOf(line: Readonly<Record<string, unknown>>, identities: readonly Identity[], values: readonly string[], run: Run): RecordedFrame {
  const { member: _, time, interval, rows, loadavg, backend, total, sinceStart, lost, missed, flows, cost, ...rest } = line
  const entries = list(rows).map(entry => entryOf(list(entry), identities.length))
  return withRows({
    ...rest,
    time: date(time),
    interval: number(interval),
    backend: textual(backend),
    loadavg: loadavg === null ? null : printable(textual(loadavg)),
    total: countsOf(total),
    sinceStart: countsOf(sinceStart),
    lost: { ...countsOf(lost), events: whole(object(lost).events) },
    missed: missed === null ? null : whole(missed),
    flows: whole(flows),
    cost: costOf(object(cost)),
    origin: run,
    identities,
    values,
    entries,
  })
}

function entryOf(entry: readonly unknown[], identities: number): Entry {
  const [index, rx, tx] = entry
  if (isWhole(index) && index < identities && isWhole(rx) && isWhole(tx)) return entry as Entry
  throw new Damage('a row has no identity, or bytes that are no whole numbers')
}

/** Bytes of both directions, and whatever else was counted. */
function countsOf(value: unknown): Shown['total'] {
  const { rx, tx, ...rest } = object(value)
  return { ...rest, rx: whole(rx), tx: whole(tx) }
}

function costOf({ cpu, drain, runs, run, ...rest }: Readonly<Record<string, unknown>>): Shown['cost'] {
  return { ...rest, cpu: number(cpu), drain: number(drain), runs: runs === null ? null : whole(runs), run: run === null ? null : number(run) }
}

// What is read was perhaps not written by us: a value that is not of its type would otherwise be printed as it is.

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    throw new Damage('a line is no JSON', { cause })
  }
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>
  throw new Damage('a value is no object')
}

function list(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new Damage('a value is no list')
}

function textual(value: unknown): string {
  if (typeof value === 'string') return value
  throw new Damage('a value is no text')
}

function address(value: unknown): string {
  if (typeof value === 'string' && /^[0-9a-f.:]*$/.test(value)) return value
  throw new Damage('a value is no address')
}

function date(value: unknown): Date {
  const time = new Date(textual(value))
  if (!Number.isNaN(time.getTime())) return time
  throw new Damage('a value is no time')
}

function number(value: unknown): number {
  if (typeof value === 'number') return value
  throw new Damage('a value is no number')
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && value as number >= 0
}

function whole(value: unknown): number {
  if (isWhole(value)) return value
  throw new Damage('a value is no whole number')
}
