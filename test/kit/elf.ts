/** What an ELF file of 64 bits, little-endian, wants of others when it is loaded. */
export interface Wants {
  /** The machine, as the kernel's headers number it (EM_X86_64 is 62, EM_AARCH64 183). */
  readonly machine: number
  readonly libraries: readonly string[]
  /** Symbols that somebody else must have; those that are weak may be missing. */
  readonly symbols: readonly string[]
  /** Versions of symbols, such as GLIBC_2.17. */
  readonly versions: readonly string[]
}

const sectionType = { dynamic: 6, dynsym: 11, verneed: 0x6fff_fffe }
const needed = 1n
const weak = 2

export function wantsOf(file: Buffer): Wants {
  if (file.readUInt32BE(0) !== 0x7f45_4c46 || file[4] !== 2 || file[5] !== 1) throw new Error('no ELF file of 64 bits, little-endian')
  const number = (at: number) => Number(file.readBigUInt64LE(at))
  const sections = Array.from({ length: file.readUInt16LE(60) }, (_, index) => {
    const at = number(40) + index * file.readUInt16LE(58)
    return { type: file.readUInt32LE(at + 4), offset: number(at + 24), size: number(at + 32), link: file.readUInt32LE(at + 40), each: number(at + 56) }
  })
  /** The entries of a section, each by where it begins, and what reads the names that they hold. */
  const entries = (wanted: number) => sections.filter(({ type }) => type === wanted).map(({ offset, size, link, each }) => ({
    offset,
    starts: each === 0 ? [] : Array.from({ length: size / each }, (_, index) => offset + index * each),
    name: (index: number) => {
      const at = sections[link]!.offset + index
      return file.toString('latin1', at, file.indexOf(0, at))
    },
  }))
  return {
    machine: file.readUInt16LE(18),
    libraries: entries(sectionType.dynamic).flatMap(({ starts, name }) =>
      starts.filter(at => file.readBigUInt64LE(at) === needed).map(at => name(number(at + 8)))),
    symbols: entries(sectionType.dynsym).flatMap(({ starts, name }) => starts.slice(1)
      .filter(at => file.readUInt16LE(at + 6) === 0 && file[at + 4]! >> 4 !== weak).map(at => name(file.readUInt32LE(at)))),
    versions: entries(sectionType.verneed).flatMap(({ offset, name }) => [...versionsAt(file, offset)].map(name)),
  }
}

/** Lists in a list, chained by distances (Elf64_Verneed and Elf64_Vernaux): the names' places. */
function* versionsAt(file: Buffer, offset: number): Generator<number> {
  for (let library = offset, next = -1; next !== 0; library += next) {
    next = file.readUInt32LE(library + 12)
    for (let version = library + file.readUInt32LE(library + 8), more = -1; more !== 0; version += more) {
      yield file.readUInt32LE(version + 8)
      more = file.readUInt32LE(version + 12)
    }
  }
}
