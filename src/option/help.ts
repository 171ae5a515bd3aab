import type { Spec } from './command-line.js'

const columns = 80

/** What `--help` prints: usage, the options and examples if there are any, in at most 80 columns. `$0` in usage and examples is the program. */
export function helpText(
  program: string, specs: Readonly<Record<string, Spec>>, usage: string, examples: readonly (readonly [command: string, meaning: string])[],
): string {
  const named = (text: string) => text.replaceAll('$0', program)
  const options = Object.entries(specs).map(([name, { letter, value, describe }]) =>
    [`${letter === undefined ? '   ' : `-${letter},`} --${name}${value === undefined ? '' : ` ${value}`}`, describe] as const)
  const lines = named(usage).split('\n').flatMap(line => line.length > columns ? wrap(line, columns) : [line])
  const sections = [['Options', options], ['Examples', examples.map(([command, meaning]) => [named(command), meaning] as const)]] as const
  return [lines.join('\n'), ...sections.flatMap(([title, rows]) => rows.length === 0 ? [] : [`${title}:\n${table(rows)}`])].join('\n\n') + '\n'
}

/** Two columns, of which the second is wrapped. */
function table(rows: readonly (readonly [left: string, right: string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length)) + 4
  return rows.flatMap(([left, right]) =>
    wrap(right, columns - width).map((line, index) => `  ${(index === 0 ? left : '').padEnd(width - 2)}${line}`)).join('\n')
}

/** Lines of at most so many characters, broken at blanks. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
