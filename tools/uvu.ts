/** What a file of tests came to. */
export interface Count {
  readonly passed: number
  readonly failed: number
  /** Why each test that was not run, or not judged, was not. */
  readonly skipped: readonly string[]
}

/**
 * Counts what uvu says at the end, and the lines `SKIP …` by which a test says that it was not run, or not judged: uvu takes it for passed.
 * What `test.skip` and `test.only` skip is not part of uvu's total. A file that runs nothing has failed.
 */
export function countOf(output: string): Count {
  const said = (name: string) => Number(new RegExp(`^ *${name}: +(\\d+)$`, 'm').exec(output)?.[1] ?? 0)
  const told = [...output.matchAll(/^[•✘ ]*SKIP (.*)$/gm)].map(match => match[1] ?? '')
  const leftOut = Array.from({ length: said('Skipped') }, () => 'skipped by test.skip or test.only')
  const [total, passed] = [said('Total'), said('Passed')]
  return { passed: passed - told.length, failed: total === 0 ? 1 : total - passed, skipped: [...told, ...leftOut] }
}

/** The line that a run of tests ends with. */
export function closingLine(passed: number, failed: number, skipped: number): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

/** The line before it when nothing that needs the kernel was tested: a result of the run, not one more skip. */
export function warning(reason: string): string {
  return `NO END-TO-END TEST WAS RUN ON THIS KERNEL: ${reason}`
}
