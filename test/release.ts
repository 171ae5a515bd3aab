import { release } from 'node:os'

/** Whether this kernel is that Linux or a newer one. */
export function isAtLeast(version = '0.0'): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [ourMajor = 0, ourMinor = 0] = release().split(/[.-]/).map(Number)
  return ourMajor > major || (ourMajor === major && ourMinor >= minor)
}
