import { jsonText } from '../trace/index.js'
import { UsageError } from '../usage-error.js'
import { either } from './value.js'
import { type CommandLine, firstWord, parseCommandLine, type Spec } from './command-line.js'
import { helpText } from './help.js'

/** What the program can be asked to do: an entry of the list of commands, from which help and completions follow. */
export interface Command<World = never> {
  /** The first word of the command line; empty for what is done without one. */
  readonly name: string
  /** One line, for lists of commands. */
  readonly summary: string
  /** What may follow the name, as a usage line has it; undefined for a command that the usage does not mention. */
  readonly usage?: string
  /** What it does, in lines of at most 80 columns. */
  readonly help: string
  /** Its options by their long names, apart from --help and --version, which all have. */
  readonly options: Readonly<Record<string, Spec>>
  /** What may follow it without an option. */
  readonly positionals: readonly Positional[]
  readonly examples: readonly (readonly [command: string, meaning: string])[]
  /** Runs it, and returns the exit status. `line.rest` is what follows the name. Throws UsageError, and whatever goes wrong. */
  run(line: CommandLine<string>, world: World): Promise<number>
}

/** A word that is no option. */
export interface Positional {
  readonly name: string
  /** All that it can be, for completions. */
  readonly choices?: readonly string[]
}

/** What all commands have. */
export const commonOptions = {
  help: { letter: 'h', flag: true, describe: 'print this help' },
  version: { letter: 'V', flag: true, describe: 'print the version' },
} as const satisfies Record<string, Spec>

/** What was asked for. */
export interface Asked<World> {
  readonly command: Command<World>
  readonly line: CommandLine<string>
}

/**
 * Finds the command and takes the rest of the command line apart: `main` without a name. Options of `main` are known with every command, to be refused
 * by `checkCommand` with a reason. Throws UsageError for an option that is not known at all.
 */
export async function readCommand<World>(argv: readonly string[], main: Command<World>, commands: readonly Command<World>[]): Promise<Asked<World>> {
  const word = firstWord(argv, main.options)
  const command = commands.find(({ name }) => name === word)
  if (command === undefined) return { command: main, line: await parseCommandLine(argv, main.options) }
  // Its own letters come before those of others, and its own options in the place of others.
  const line = await parseCommandLine(argv, { ...command.options, ...main.options, ...command.options })
  return { command, line: { ...line, rest: line.rest.slice(1) } }
}

/** Refuses what the command does not take. Throws UsageError. */
export function checkCommand<World>({ command: { name, options, positionals }, line: { rest, given } }: Asked<World>): void {
  const more = rest[positionals.length]
  const names = positionals.map(positional => positional.name)
  if (more !== undefined) {
    const alone = names.length === 0 ? 'without interval and count' : names.length === 1 ? `with one ${names.join()}` : `with ${names.join(' and ')} alone`
    throw new UsageError(name === ''
      ? `only ${names.join(' and ')} may be given without an option, got ${jsonText(more)} as well`
      : `${name} must stand ${alone}, got ${jsonText(more)} as well`)
  }
  const other = given.find(option => !(option in options || option in commonOptions))
  if (other === undefined) return
  const own = Object.keys(options).map(option => ({ name: `--${option}` }))
  throw new UsageError(own.length === 0 ? `${name} must stand without options, got --${other}` : `options must be ${either(own)} with ${name}, got --${other}`)
}

/** The help of a command; `others` are those that it mentions beside itself. */
export function helpOf(program: string, command: Command, others: readonly Command[] = []): string {
  const lines = [command, ...others].flatMap(({ name, usage }) => usage === undefined ? [] : [['$0', name, usage].filter(Boolean).join(' ')])
  const [first = ['$0', command.name, ...command.positionals.map(({ name }) => `[${name}]`)].join(' '), ...more] = lines
  const usage = [`Usage: ${first}`, ...more.map(line => `or:    ${line}`), '', command.help].join('\n')
  return helpText(program, { ...command.options, ...commonOptions }, usage, command.examples)
}
