/**
 * Packages of Debian's archive, fetched and unpacked beside the system's own, for any suite and architecture. Everything is cached.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** An architecture by Debian's name. */
export type Arch = 'amd64' | 'arm64'

/** Where everything that is fetched or made stays: `TCPTOP_VM_CACHE`, or a folder of the user's cache. */
export const cache = process.env.TCPTOP_VM_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tcptop-vm')

/** Makes the folder `name` of the cache with `make`, once: what fails half way is not there. */
export function cached(name: string, make: (folder: string) => void): string {
  const folder = join(cache, name)
  if (existsSync(folder)) return folder
  const unfinished = `${folder}.${process.pid}`
  mkdirSync(unfinished, { recursive: true })
  try {
    make(unfinished)
    renameSync(unfinished, folder)
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true })
    throw error
  }
  return folder
}

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
const mirror = 'http://deb.debian.org'

/** The suites that still hold the kernels we want, oldest first, with what they are fetched from. */
const sources = [
  ['debian', 'bullseye'],
  ['debian-security', 'bullseye-security'],
  ['debian', 'bookworm'],
  ['debian-security', 'bookworm-security'],
  ['debian', 'trixie'],
  ['debian', 'trixie-backports'],
] as const

/** apt with a configuration of its own, so that the system's stays as it is. */
export interface Archive {
  readonly arch: Arch
  /** All packages whose names start like this. */
  names(prefix: string): string[]
  /** Names of the packages that one depends on, as far as they match. */
  dependencies(name: string, pattern: RegExp): string[]
  /** These packages with all that they need, as apt would install them on a machine that has none. */
  closure(names: readonly string[]): string[]
  /** Unpacks packages into the folder: the newest, or those of a suite. */
  unpack(names: readonly string[], folder: string, suite?: string): void
}

/** Reads the suites' indexes, once a day. */
export function openArchive(arch: Arch): Archive {
  const day = new Date().toISOString().slice(0, 10)
  const state = cached(`apt-${arch}-${day}`, folder => {
    for (const part of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(folder, part), { recursive: true })
    const lines = sources.map(([path, suite]) => `deb [signed-by=${keyring}] ${mirror}/${path} ${suite} main\n`)
    writeFileSync(join(folder, 'sources.list'), lines.join(''))
    apt(folder, arch, 'apt-get', ['update', '-qq'])
  })
  return {
    arch,
    names: prefix => apt(state, arch, 'apt-cache', ['pkgnames', prefix]).split('\n'),
    dependencies: (name, pattern) =>
      [...apt(state, arch, 'apt-cache', ['depends', name]).matchAll(/^ *(?:Pre)?Depends: (\S+)$/gm)]
        .map(match => match[1]!.replace(/:.*/, '')).filter(name => pattern.test(name)),
    closure: names =>
      [...apt(state, arch, 'apt-get', ['install', '-s', '-qq', '--no-install-recommends', ...names]).matchAll(/^Inst (\S+)/gm)]
        .map(match => match[1]!.replace(/:.*/, '')),
    unpack: (names, folder, suite) => {
      const debs = join(folder, '.debs')
      mkdirSync(debs, { recursive: true })
      apt(state, arch, 'apt-get', ['download', '-qq', ...names.map(name => `${name}:${arch}${suite === undefined ? '' : `/${suite}`}`)], debs)
      for (const deb of readdirSync(debs)) execFileSync('dpkg-deb', ['-x', join(debs, deb), folder])
      rmSync(debs, { recursive: true })
    },
  }
}

function apt(state: string, arch: Arch, command: string, args: readonly string[], cwd = state): string {
  const options = Object.entries({
    'Dir::Etc::sourcelist': join(state, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::State::Lists': join(state, 'lists'),
    'Dir::State::status': '/dev/null',
    'Dir::Cache': join(state, 'cache'),
    'APT::Architecture': arch,
    'APT::Architectures': arch,
    'APT::Sandbox::User': 'root',
    'Acquire::Retries': '3',
  }).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  return execFileSync(command, [...options, ...args], { cwd, encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'inherit'] })
}
