import { release } from 'node:os'
import { isBefore } from '../../syscall/index.js'

/** Whether this kernel is that Linux or a newer one. */
export function isAtLeast(version = '0.0'): boolean {
  return !isBefore(release(), version)
}
