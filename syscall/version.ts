/**
 * Whether a kernel is older than this Linux. `release` is what `uname -r` prints, and `version` its first two numbers, such as '5.11'. A release
 * that is unknown, or of another form, is older than none.
 */
export function isBefore(release: string | undefined, version: string): boolean {
  const [major = NaN, minor = NaN] = numbersOf(release ?? '')
  const [otherMajor = NaN, otherMinor = NaN] = numbersOf(version)
  return major < otherMajor || (major === otherMajor && minor < otherMinor)
}

function numbersOf(release: string): readonly number[] {
  return /^(\d+)\.(\d+)/.exec(release)?.slice(1).map(Number) ?? []
}
