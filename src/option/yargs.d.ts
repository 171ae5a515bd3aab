/** What we use of yargs 18, which brings no types. */
declare module 'yargs' {
  export interface Option {
    readonly alias?: string
    readonly type: 'boolean' | 'string'
    /** 0: takes no value, not even the word `true` after it. */
    readonly nargs?: 0
    readonly describe: string
  }

  export interface Parsed {
    /** What is not an option, and what comes after `--`. */
    readonly _: readonly (string | number)[]
    readonly [option: string]: unknown
  }

  export interface Argv {
    options(options: Readonly<Record<string, Option>>): this
    help(enable: false): this
    version(enable: false): this
    detectLocale(enable: boolean): this
    exitProcess(enable: boolean): this
    fail(callback: (message: string | null, error: Error | undefined) => never): this
    parserConfiguration(configuration: Readonly<Record<string, boolean>>): this
    /** Neither runs anything nor prints, as configured here. */
    parseSync(): Parsed
  }

  export default function yargs(argv: readonly string[]): Argv
}
