/** Files of a directory, one for each day of UTC, and which of them are kept. */

/** Milliseconds of a day. */
const day = 86_400_000
const pattern = /^tcptop-(\d{4}-\d\d-\d\d)\.jsonl\.gz$/

/** The name of the file that has the frames of that time. */
export function dayName(time: Date): string {
  return `tcptop-${time.toISOString().slice(0, 10)}.jsonl.gz`
}

/** Whether a name is one of these, which are the only ones that are ever deleted. */
export function isDayName(name: string): boolean {
  const [, date] = pattern.exec(name) ?? []
  return date !== undefined && !Number.isNaN(Date.parse(date))
}

/** When the day of a file is over. */
function endOf(name: string): number {
  return Date.parse(pattern.exec(name)![1]!) + day
}

/** What is kept in a directory. */
export interface Retention {
  /** Seconds that a file is kept after its day. */
  readonly keep?: number | undefined
  /** Bytes of all files. */
  readonly maxSize?: number | undefined
}

/** A file of a day. */
export interface DayFile {
  readonly name: string
  readonly size: number
}

/** Names of the files to delete, oldest first: those that are too old, then as many as are too much. The `current` one stays whatever its size. */
export function expired(files: readonly DayFile[], current: string, now: Date, { keep = Infinity, maxSize = Infinity }: Retention): readonly string[] {
  const others = files.filter(({ name }) => isDayName(name) && name !== current).sort((one, other) => one.name < other.name ? -1 : 1)
  let total = files.filter(({ name }) => isDayName(name)).reduce((sum, { size }) => sum + size, 0)
  const names: string[] = []
  for (const { name, size } of others) {
    if (now.getTime() - endOf(name) < 1000 * keep && total <= maxSize) continue
    names.push(name)
    total -= size
  }
  return names
}
