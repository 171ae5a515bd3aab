import { closeSync, constants, fstatSync, fsync, ftruncateSync, mkdirSync, openSync, readdirSync, statSync, unlinkSync, write } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Shown } from '../frame/index.js'
import { jsonText } from '../trace/index.js'
import { UsageError } from '../usage-error.js'
import { dayName, expired, isDayName, type Retention } from './day.js'
import { openRegular, readAt, reason, type Survey, survey } from './file.js'
import type { Run } from './frame.js'
import { lock, Locked } from './lock.js'
import { MemberWriter, readMember, UnknownVersion } from './member.js'

/** What was recorded stays, and no more can be. The message is one line. */
export class RecordingError extends Error {
  override readonly name = 'RecordingError'
}

/** The system calls by which a member gets to the disk; tests pass others. Both reject with Node's error. */
export interface Disk {
  /** Writes a part of the bytes at the end of the file and says how many. */
  append(fd: number, bytes: Uint8Array): Promise<number>
  sync(fd: number): Promise<void>
}

const writeTo = promisify(write)
const disk: Disk = {
  append: async (fd, bytes) => (await writeTo(fd, bytes)).bytesWritten,
  sync: promisify(fsync),
}

export interface RecorderOptions extends Retention {
  readonly run: Run
  /** One line for the user. */
  note(line: string): void
  now(): Date
  readonly disk?: Disk
}

/**
 * Begins to record to a file, or to one file a day of a directory: one that exists, or a path that ends in `/`. Whatever is wrong is found now: throws
 * UsageError when there can be no recording at that path, RecordingError when another process writes it.
 */
export async function openRecorder(path: string, options: RecorderOptions): Promise<Recorder> {
  try {
    const isFolder = path.endsWith('/') || statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
    if (!isFolder && (options.keep !== undefined || options.maxSize !== undefined)) {
      throw new UsageError(`--keep and --max-size are for a directory with a file a day, got the file ${jsonText(path)}`)
    }
    if (path.endsWith('/')) mkdirSync(path, { recursive: true, mode: 0o700 })
    const file = await OpenFile.open(isFolder ? join(path, dayName(options.now())) : path, options)
    const recorder = new Recorder(isFolder ? path : undefined, file, options)
    recorder.prune()
    return recorder
  } catch (error) {
    if (error instanceof UsageError || error instanceof RecordingError) throw error
    throw new UsageError(`-o must be a file or a directory that can be written, got ${jsonText(path)}: ${reason(error)}`, { cause: error })
  }
}

/** Writes frames to a recording, a member at a time. Calls must not overlap. */
export class Recorder {
  readonly #members: MemberWriter
  /** Files that could not be deleted, which is said once. */
  readonly #kept = new Set<string>()
  #hasFailed = false

  constructor(readonly folder: string | undefined, private file: OpenFile, readonly options: RecorderOptions) {
    this.#members = new MemberWriter(options.run)
  }

  /** Takes a frame; once a minute it is on the disk with those before it when this resolves. Rejects with RecordingError when that is impossible. */
  async write(frame: Shown): Promise<void> {
    const { folder } = this
    const path = folder === undefined ? this.file.path : join(folder, dayName(frame.time))
    if (path !== this.file.path) {
      await this.#finish()
      await this.#attempt(async () => {
        const next = await OpenFile.open(path, this.options)
        this.file.close()
        this.file = next
      })
    }
    this.#members.add(frame)
    if (this.#members.isFull) await this.#finish()
  }

  /** Writes what there is and closes the file. May be called after a failure, and then rejects no more. */
  async close(): Promise<void> {
    try {
      if (!this.#hasFailed) await this.#finish()
    } finally {
      this.file.close()
    }
  }

  async #finish(): Promise<void> {
    if (this.#members.frames === 0) return
    await this.#attempt(async () => {
      if (this.file.isMoved) {
        this.options.note(`${jsonText(this.file.path)} was moved or deleted: the recording goes on in a new file there`)
        const next = await OpenFile.open(this.file.path, this.options)
        this.file.close()
        this.file = next
      }
      await this.file.append(this.#members)
    })
    this.prune()
  }

  /** What fails ends the recording. */
  async #attempt(act: () => Promise<void>): Promise<void> {
    const { frames } = this.#members
    try {
      await act()
    } catch (error) {
      this.#hasFailed = true
      const loss = frames === 0 ? '' : `; the last ${frames === 1 ? 'frame is' : `${frames} frames are`} not in it`
      const why = error instanceof UsageError || error instanceof RecordingError ? error.message : `${jsonText(this.file.path)}: ${reason(error)}`
      throw new RecordingError(`the recording ends: ${why}${loss}`, { cause: error })
    }
  }

  /** Deletes the files of days that are not kept. */
  prune(): void {
    const { folder, options } = this
    if (folder === undefined || (options.keep === undefined && options.maxSize === undefined)) return
    try {
      const files = readdirSync(folder).filter(isDayName)
        .map(name => ({ name, size: statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0 }))
      for (const name of expired(files, basename(this.file.path), options.now(), options)) this.#delete(join(folder, name))
    } catch (error) {
      this.#say(folder, error)
    }
  }

  #delete(path: string): void {
    try {
      unlinkSync(path)
    } catch (error) {
      this.#say(path, error)
    }
  }

  #say(path: string, error: unknown): void {
    if (this.#kept.has(path)) return
    this.#kept.add(path)
    this.options.note(`old recordings in ${jsonText(path)} cannot be deleted: ${reason(error)}`)
  }
}

/** A file to which members are added, locked against others who would. */
class OpenFile {
  /** Where the next member begins, and where the one before it did. */
  #end = 0
  #previous: number | null = null
  #isOpen = true

  private constructor(
    readonly path: string, readonly isNew: boolean, readonly fd: number, readonly release: () => void, readonly options: RecorderOptions,
  ) {}

  /**
   * Opens a recording, or makes one. What is torn at its end is cut off, for nobody can read it and what comes after it could not be read by others.
   * Throws UsageError when the file is no recording, RecordingError when another process writes it, Node's error when it cannot be opened.
   */
  static async open(path: string, options: RecorderOptions): Promise<OpenFile> {
    const { O_RDWR, O_APPEND, O_CREAT } = constants
    const isNew = statSync(path, { throwIfNoEntry: false }) === undefined
    const fd = openRegular('-o', path, O_RDWR | O_APPEND | O_CREAT)
    let release: (() => void) | undefined
    try {
      release = await lock(fstatSync(fd, { bigint: true }))
      const file = new OpenFile(path, isNew, fd, release, options)
      file.#find()
      if (isNew) await file.#syncFolder()
      return file
    } catch (error) {
      release?.()
      closeSync(fd)
      if (error instanceof Locked) throw new RecordingError(`cannot record to ${jsonText(path)}: ${error.message}`, { cause: error })
      throw error
    }
  }

  /** Whether another file is at the path by now, or none. */
  get isMoved(): boolean {
    const there = statSync(this.path, { bigint: true, throwIfNoEntry: false })
    const ours = fstatSync(this.fd, { bigint: true })
    return there === undefined || there.ino !== ours.ino || there.dev !== ours.dev
  }

  /** Writes the member in the making. After a failure the file has what it had before. */
  async append(members: MemberWriter): Promise<void> {
    const { append, sync } = this.options.disk ?? disk
    // Somebody has emptied or changed it, as logrotate does with `copytruncate`.
    if (fstatSync(this.fd).size !== this.#end) this.#find()
    const bytes = members.take(this.#previous)
    try {
      for (let rest: Uint8Array = bytes; rest.length > 0;) rest = rest.subarray(await append(this.fd, rest))
    } catch (error) {
      ftruncateSync(this.fd, this.#end)
      throw error
    }
    this.#previous = this.#end
    this.#end += bytes.length
    await sync(this.fd)
  }

  /** Closes the file, and removes one that was made here and has nothing. */
  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    if (this.isNew && this.#end === 0 && !this.isMoved) unlinkSync(this.path)
    closeSync(this.fd)
    this.release()
  }

  /** Finds the end, and cuts off what is no member there. */
  #find(): void {
    const found = survey(this.fd)
    if (!found.isRecording) throw new UsageError(`-o must be a recording or a new file, got ${jsonText(this.path)}, which is something else`)
    this.#checkVersion(found)
    const torn = found.size - found.end
    if (torn > 0) {
      ftruncateSync(this.fd, found.end)
      this.options.note(`${jsonText(this.path)} ended in ${torn} bytes of a torn member: they are cut off`)
    }
    this.#end = found.end
    this.#previous = found.places.at(-1)?.offset ?? null
  }

  /** Frames of two versions in a file could be read by neither. */
  #checkVersion({ places }: Survey): void {
    const last = places.at(-1)
    if (last === undefined) return
    try {
      readMember(readAt(this.fd, last.offset, last.length))
    } catch (error) {
      if (error instanceof UnknownVersion) throw new UsageError(`-o: ${jsonText(this.path)} cannot be continued: ${error.message}`, { cause: error })
    }
  }

  /** A new name is on the disk when its directory is. */
  async #syncFolder(): Promise<void> {
    const fd = openSync(dirname(this.path), constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      await (this.options.disk ?? disk).sync(fd)
    } finally {
      closeSync(fd)
    }
  }
}
