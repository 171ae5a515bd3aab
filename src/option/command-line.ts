import type { Argv, Parsed } from 'yargs'
import { jsonText } from '../trace/index.js'
import { UsageError } from '../usage-error.js'
import { suggestion } from './nearest.js'

/** An option. */
export interface Spec {
  readonly letter?: string
  /** Whether it stands alone; otherwise a value follows. */
  readonly flag?: boolean
  /** What the value is called in the help: PATH and FILE are those of a file. */
  readonly value?: string
  /** All values, for completions. */
  readonly choices?: readonly string[]
  /** Whether it may be given more than once. */
  readonly repeatable?: boolean
  /** For the help. */
  readonly describe: string
}

/** Options by their long names, in the order of the help. */
export type Specs<Name extends string> = Readonly<Record<Name, Spec>>

/** What was given. */
export interface CommandLine<Name extends string> {
  has(flag: Name): boolean
  /** The value; undefined when the option is not given, empty when its value is not. */
  value(option: Name): string | undefined
  values(option: Name): readonly string[]
  /** The options that are given, by their long names, in the order of their list. */
  readonly given: readonly string[]
  /** What is no option. */
  readonly rest: readonly string[]
}

/**
 * Takes a command line apart; what the values mean is the caller's. Never prints and never exits. Throws UsageError for
 * an option that is not known, a flag with a value, and an option that is given twice and not `repeatable`.
 */
export async function parseCommandLine<Name extends string>(
  argv: readonly string[], specs: Specs<Name>,
): Promise<CommandLine<Name>> {
  const options = new Map<string, Spec>(Object.entries<Spec>(specs))
  const long = [...longNames(argv, options)]
  const parsed = plain(long, options) ?? (await parserOf(long, options)).parseSync()
  const values = (name: Name) => [parsed[name] ?? []].flat().map(String)
  for (const [name, { repeatable, flag }] of options) {
    const given = values(name as Name)
    if (repeatable || flag || given.length < 2) continue
    throw new UsageError(`--${name} must be given once, got ${given.map(text => jsonText(text)).join(' and ')}`)
  }
  return {
    has: flag => parsed[flag] === true,
    value: option => values(option)[0],
    values,
    given: [...options.keys()].filter(name => values(name as Name).length > 0),
    rest: parsed._.map(String),
  }
}

/** The first word that is neither an option nor the value of one; undefined where there is none, or an option that is not known comes before it. */
export function firstWord(argv: readonly string[], specs: Readonly<Record<string, Spec>>): string | undefined {
  const options = new Map(Object.entries(specs))
  /** What the argument before says of the next one. */
  let next: 'any' | 'value' | 'word' = 'any'
  try {
    for (const argument of longNames(argv, options)) {
      const isOption: boolean = next !== 'word' && argument.startsWith('--')
      if (!isOption && (next !== 'value' || argument === '-')) return argument
      if (argument === '--') next = 'word'
      else next = isOption && !argument.includes('=') && options.get(argument.slice(2))?.flag !== true ? 'value' : 'any'
    }
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
  }
  return undefined
}

/**
 * What yargs makes of a command line without anything particular, undefined of any other: to load yargs takes half as long as all else that
 * is done at the start.
 */
function plain(argv: readonly string[], options: ReadonlyMap<string, Spec>): Parsed | undefined {
  const rest: string[] = []
  const given: Record<string, true | string[]> = {}
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index]!
    if (!argument.startsWith('-')) {
      rest.push(argument)
      continue
    }
    const [name = '', inline] = argument.slice(2).split(/=(.*)/s)
    const spec = options.get(name)
    if (spec === undefined) return undefined
    const value = spec.flag ? 'true' : inline ?? argv[++index]
    if (value === undefined || !/^[^-'"][^'"]*$/.test(value)) return undefined
    const before = given[name]
    given[name] = spec.flag ? true : [...Array.isArray(before) ? before : [], value]
  }
  return { ...given, _: rest }
}

/**
 * The command line with long names only. yargs takes `-p1,2` for several options, `-46` for a number, a flag's `=x` for
 * false and any name for an option: here they are split, or refused by the name that the user wrote.
 */
function* longNames(argv: readonly string[], options: ReadonlyMap<string, Spec>): Generator<string> {
  for (const [index, argument] of argv.entries()) {
    if (argument === '--') return yield* argv.slice(index)
    if (argument.startsWith('--')) {
      const [name = '', value] = argument.slice(2).split(/=(.*)/s)
      const spec = options.get(name)
      if (spec === undefined) throw notAnOption(`--${name}`, options)
      if (spec.flag && value !== undefined) throw takesNoValue(`--${name}`, value)
      yield argument
    } else if (argument.startsWith('-') && argument !== '-') {
      yield* splitLetters(argument.slice(1), options)
    } else {
      yield argument
    }
  }
}

/** `CSp1` are `--noclear --nosummary --pid=1`. A negative number stays one, to be refused as what it stands for. */
function* splitLetters(letters: string, options: ReadonlyMap<string, Spec>): Generator<string> {
  for (const [index, letter] of [...letters].entries()) {
    const [name, spec] = [...options].find(([, spec]) => spec.letter === letter) ?? []
    if (spec === undefined) {
      if (index === 0 && /^[\d.]+$/.test(letters)) return yield `-${letters}`
      throw notAnOption(`-${letter}`, options)
    }
    const value = letters.slice(index + 1)
    if (!spec.flag) return yield value === '' ? `--${name}` : `--${name}=${value.replace(/^=/, '')}`
    if (value.startsWith('=')) throw takesNoValue(`-${letter}`, value.slice(1))
    yield `--${name}`
  }
}

function takesNoValue(flag: string, value: string): UsageError {
  return new UsageError(`${flag} must be given without a value, got ${jsonText(value)}`)
}

function notAnOption(name: string, options: ReadonlyMap<string, Spec>): UsageError {
  const meant = name.startsWith('--') ? suggestion(name, [...options.keys()].map(option => `--${option}`)) : ''
  return new UsageError(`options must be among those that --help lists, got ${jsonText(name)}${meant}`)
}

async function parserOf(argv: readonly string[], options: ReadonlyMap<string, Spec>): Promise<Argv> {
  const { default: yargs } = await import('yargs')
  return yargs(argv)
    // First, for yargs warns of options by these names as long as it has its own.
    .help(false)
    .version(false)
    .options(Object.fromEntries([...options].map(([name, { letter, flag, describe }]) => [name, {
      describe,
      ...(letter !== undefined && { alias: letter }),
      ...(flag ? { type: 'boolean', nargs: 0 } as const : { type: 'string' } as const),
    }])))
    .detectLocale(false)
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new UsageError(`${message}`)
    })
    .parserConfiguration({ 'parse-positional-numbers': false, 'boolean-negation': false })
}
