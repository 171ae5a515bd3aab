import { release } from 'node:os'

/** Versions as `uname -r` says them. */
export function isBefore(release: string, version: string): boolean {
  const [one, other] = [release, version].map(text => text.split('.').slice(0, 2).map(part => parseInt(part)))
  return one![0]! !== other![0]! ? one![0]! < other![0]! : one![1]! < other![1]!
}

/** Whether this kernel is that Linux or a newer one. */
export function isAtLeast(version = '0.0'): boolean {
  return !isBefore(release(), version)
}
