import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import type { Drain } from './drain.js'
import type { Idle, Start } from './here.js'
import type { Ran } from './meant.js'
import type { Overhead } from './overhead.js'

/** What was counted in a guest. */
export interface Guest {
  /** Its kernel, as `uname -r` says it. */
  readonly kernel: string
  readonly overhead: readonly Overhead[]
  readonly start: readonly Start[]
}

/** Of what and where a run was: the same where figures can be compared. */
export interface Place {
  readonly machine: string
  readonly kernel: string
  readonly node: string
}

/** All that a run measured; of guests by the kernel's release. */
export interface Result extends Place {
  /** What was measured: the commit, and whether files differed from it. */
  readonly commit: string
  readonly modified: boolean
  readonly date: string
  readonly guests: Readonly<Record<string, Guest>>
  readonly drain: readonly Drain[]
  /** What ran here during `start` and `idle`. */
  readonly ran?: Ran
  readonly start: readonly Start[]
  readonly idle: readonly Idle[]
}

/** This machine. */
export function placeHere(): Place {
  return { machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`, kernel: release(), node: process.version }
}

/** What is checked out in a folder. */
export function commitOf(root: string): Pick<Result, 'commit' | 'modified'> {
  const git = (...args: readonly string[]) => execFileSync('git', ['-C', root, ...args], { encoding: 'utf8' }).trim()
  return { commit: git('rev-parse', 'HEAD'), modified: git('status', '--porcelain') !== '' }
}

/** Keeps a run as JSON, named by when and what it was; returns its path. */
export function keep(folder: string, result: Result): string {
  mkdirSync(folder, { recursive: true })
  const { date, commit, modified } = result
  const path = join(folder, `${date.replace(/\.\d+Z$/, 'Z').replaceAll(':', '')}-${commit.slice(0, 12)}${modified ? '-modified' : ''}.json`)
  writeFileSync(path, `${JSON.stringify(result, undefined, 2)}\n`)
  return path
}

/** A run by its file, or the last one kept of a commit by the beginning of its hash. Throws where there is none, or the commits are several. */
export function kept(folder: string, name: string): Result {
  const read = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Result
  if (existsSync(name)) return read(name)
  const all = existsSync(folder) ? readdirSync(folder).filter(file => file.endsWith('.json')).sort().map(file => read(join(folder, file))) : []
  const found = /^[0-9a-f]{4,}$/.test(name) ? all.filter(({ commit }) => commit.startsWith(name)) : []
  const commits = [...new Set(found.map(({ commit }) => commit))]
  if (commits.length > 1) throw new Error(`${name} is the beginning of several commits: ${commits.join(', ')}`)
  const last = found.at(-1)
  if (last === undefined) throw new Error(`${name} is neither a file nor the beginning of a commit with a run in ${folder}`)
  return last
}
