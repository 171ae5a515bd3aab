import { closeSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { jsonText } from '../trace/index.js'
import { UsageError } from '../usage-error.js'
import { isDayName } from './day.js'
import { openRegular, type Place, readAt, reason, type Survey, survey } from './file.js'
import type { RecordedFrame } from './frame.js'
import { Damage, readMember, UnknownVersion } from './member.js'

/** A part of time: later than `after`, up to and with `until`. A frame lies where it ends, as the bytes that it has were moved before. */
export interface Span {
  readonly after?: Date | undefined
  readonly until?: Date | undefined
}

/** One of the files of a recording. */
interface Part {
  readonly path: string
  readonly fd: number
}

/**
 * A recording that is read: a file, or all files of a directory in the order of their days. Only heads are held in memory; frames are read when they
 * are asked for. What is torn or damaged is skipped, with one note for each file.
 */
export class Recording {
  readonly #places: readonly (Place & { readonly part: Part })[]
  readonly #noted = new Set<string>()

  private constructor(readonly parts: readonly Part[], surveys: readonly Survey[], readonly note: (line: string) => void) {
    this.#places = surveys.flatMap(({ places }, index) => places.map(place => ({ ...place, part: parts[index]! })))
    for (const [index, { places, size, damaged }] of surveys.entries()) {
      const name = jsonText(parts[index]!.path)
      if (damaged > 0) this.#say(parts[index]!, `${damaged} bytes of ${name} are torn or damaged: what is whole is read`)
      else if (size === 0 || places.length === 0) this.#say(parts[index]!, `${name} is empty`)
    }
  }

  /** Opens a recording. Throws UsageError when that is none, or cannot be read. `option` is how the user named it, for that message. */
  static open(option: string, path: string, note: (line: string) => void): Recording {
    const parts: Part[] = []
    try {
      const names = statSync(path).isDirectory() ? readdirSync(path).filter(isDayName).sort().map(name => join(path, name)) : [path]
      if (names.length === 0) throw new UsageError(`${option} must be a recording, got the directory ${jsonText(path)}, which has none`)
      for (const name of names) parts.push({ path: name, fd: openRegular(option, name) })
      const surveys = parts.map(({ fd }) => survey(fd))
      const other = surveys.findIndex(({ isRecording }) => !isRecording)
      if (other >= 0) throw new UsageError(`${option} must be a recording, got ${jsonText(parts[other]!.path)}, which is something else`)
      return new Recording(parts, surveys, note)
    } catch (error) {
      for (const { fd } of parts) closeSync(fd)
      if (error instanceof UsageError) throw error
      throw new UsageError(`${option} must be a recording, got ${jsonText(path)}: ${reason(error)}`, { cause: error })
    }
  }

  /** Members that there are. */
  get members(): number {
    return this.#places.length
  }

  /** When its earliest and its latest frame ended; undefined when there are none. */
  get span(): { readonly begin: Date; readonly end: Date } | undefined {
    if (this.#places.length === 0) return undefined
    const [first, ...others] = this.#places
    const begin = others.reduce((least, { earliest }) => Math.min(least, earliest), first!.earliest)
    const end = others.reduce((most, { latest }) => Math.max(most, latest), first!.latest)
    return { begin: new Date(begin), end: new Date(end) }
  }

  /** The frames of a part of time, in the order in which they were recorded. Members without any are not read. */
  *frames({ after, until }: Span = {}): Generator<RecordedFrame> {
    const [from, to] = [after?.getTime() ?? -Infinity, until?.getTime() ?? Infinity]
    for (const [index, { earliest, latest }] of this.#places.entries()) {
      if (latest <= from || earliest > to) continue
      for (const frame of this.#read(index)) {
        const time = frame.time.getTime()
        if (time > from && time <= to) yield frame
      }
    }
  }

  /** Which member is the first that has a frame of that time or later; `members` when none has. */
  memberAt(time: Date): number {
    const index = this.#places.findIndex(({ latest }) => latest >= time.getTime())
    return index < 0 ? this.#places.length : index
  }

  /** The frames of a member; none when it is damaged. Throws UsageError when it is of a later version. */
  member(index: number): readonly RecordedFrame[] {
    return [...this.#read(index)]
  }

  /** Frames are made one after the other: those of a minute may take much more memory than their text. */
  *#read(index: number): Generator<RecordedFrame> {
    const { part, offset, length } = this.#places[index]!
    try {
      yield* readMember(readAt(part.fd, offset, length)).frames()
    } catch (error) {
      if (error instanceof UnknownVersion) throw new UsageError(`${jsonText(part.path)} cannot be read: ${error.message}`, { cause: error })
      if (!(error instanceof Damage)) throw error
      this.#say(part, `${jsonText(part.path)} is damaged at ${offset}: ${error.message}; what is whole is read`)
    }
  }

  close(): void {
    for (const { fd } of this.parts) closeSync(fd)
  }

  /** One note for each file is enough. */
  #say({ path }: Part, line: string): void {
    if (this.#noted.has(path)) return
    this.#noted.add(path)
    this.note(line)
  }
}
