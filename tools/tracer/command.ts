/** The command lines of the tools in this folder: options, help, and errors of usage. */
import { parseArgs } from 'node:util'
import { jsonText, printable } from 'tcptop/trace'

/** An option. Without `value` it is a flag. */
export interface Option {
  readonly short?: string
  /** What the value is called in the help. */
  readonly value?: string
  readonly help: string
}

/** A tool's command line. */
export interface Command {
  readonly name: string
  /** What it does, in one sentence. */
  readonly summary: string
  readonly options: Readonly<Record<string, Option>>
  /** What an argument beside options is called in the help, and what it is. */
  readonly argument?: { readonly name: string; readonly help: string }
}

/** A mistake on the command line. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** What the command line says: values of options by their long names, flags as an empty text. */
export interface Given {
  readonly options: Readonly<Record<string, string | undefined>>
  readonly argument: string | undefined
}

/** What is on a line of the help: at most 80 columns. */
const shown = ([name, { short, value }]: readonly [string, Option]) =>
  `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`

function helpOf({ name, summary, options, argument }: Command): string {
  const all = [...Object.entries(options), ['help', { short: 'h', help: 'print this' }] as const]
  const width = Math.max(...all.map(option => shown(option).length))
  const lines = all.map(option => `  ${shown(option).padEnd(width)}  ${option[1].help}`)
  return [
    `Usage: ${name} [OPTIONS]${argument === undefined ? '' : ` ${argument.name}`}`, '', `${summary}.`, '',
    ...argument === undefined ? [] : [`  ${argument.name}  ${argument.help}`, ''], ...lines, '',
  ].join('\n')
}

/**
 * Reads the command line and passes it to `read`, whose result is returned. Help is printed, and ends the process with status 0; a mistake is told
 * in one line on stderr, and ends it with status 2.
 */
export function commandLine<Settings>(command: Command, read: (given: Given) => Settings): Settings {
  try {
    const given = givenOf(command)
    if (given !== undefined) return read(given)
    process.stdout.write(helpOf(command))
    process.exit(0)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(`${command.name}: ${printable(error.message)}`)
    process.exit(2)
  }
}

/** As `parseArgs` wants options. */
type Config = Record<string, { readonly type: 'boolean' | 'string'; readonly short?: string }>

/** Undefined when help is asked for. */
function givenOf({ options, argument }: Command): Given | undefined {
  const config: Config = Object.fromEntries([...Object.entries(options), ['help', { short: 'h' } as Option] as const].map(([name, { short, value }]) =>
    [name, { type: value === undefined ? 'boolean' as const : 'string' as const, ...short === undefined ? {} : { short } }]))
  const { values, positionals } = parsed(config)
  if (values.help === true) return undefined
  if (positionals.length > (argument === undefined ? 0 : 1)) throw new UsageError(`unexpected argument ${quoted(positionals.at(-1)!)}`)
  const texts = Object.entries(values).map(([name, value]) => [name, value === true ? '' : String(value)])
  return { options: Object.fromEntries(texts) as Given['options'], argument: positionals[0] }
}

function parsed(options: Config): { readonly values: Readonly<Record<string, string | boolean | undefined>>; readonly positionals: readonly string[] } {
  try {
    return parseArgs({ options, allowPositionals: true })
  } catch (error) {
    // Node's own message, without its hint of how to pass something that begins with a dash.
    throw new UsageError((error as Error).message.replace(/\. .*|\.$/s, ''))
  }
}

/** In quotes, with nothing in it that a terminal obeys. */
export const quoted: (text: string) => string = jsonText

/** A whole number in a range, or undefined when the option is not given. Throws UsageError. */
export function whole({ options }: Given, name: string, least: number, most: number): number | undefined {
  const text = options[name]
  if (text === undefined || isWhole(text, least, most)) return text === undefined ? undefined : Number(text)
  throw new UsageError(`--${name} must be a whole number from ${least} to ${most}, got ${quoted(text)}`)
}

const isWhole = (text: string, least: number, most: number) => /^\d+$/.test(text) && Number(text) >= least && Number(text) <= most

/** Whole numbers, separated by commas. Throws UsageError. */
export function wholes({ options }: Given, name: string, least: number, most: number): readonly number[] | undefined {
  const text = options[name]
  const parts = text?.split(',')
  if (parts === undefined || parts.every(part => isWhole(part, least, most))) return parts?.map(Number)
  throw new UsageError(`--${name} must be whole numbers from ${least} to ${most}, separated by commas, got ${quoted(text!)}`)
}

/** A number of seconds, at least 0.1. Throws UsageError. */
export function seconds({ options }: Given, name: string): number | undefined {
  const text = options[name]
  if (text === undefined) return undefined
  const value = /^(\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : NaN
  // Timers hold 2^31 ms.
  if (value >= 0.1 && value <= 2_000_000) return value
  throw new UsageError(`--${name} must be a number of seconds from 0.1 to 2000000, got ${quoted(text)}`)
}

/** One of these words. Throws UsageError. */
export function choice<const Word extends string>({ options }: Given, name: string, words: readonly Word[], otherwise: Word): Word {
  const text = options[name]
  const found = text === undefined ? otherwise : words.find(word => word === text)
  if (found !== undefined) return found
  throw new UsageError(`--${name} must be ${words.join(' or ')}, got ${quoted(text!)}`)
}
