import { type Command, commonOptions } from './command.js'
import type { Spec } from './command-line.js'

/** A shell whose completions there are. */
export interface Shell {
  readonly name: string
  /** The script that a user's shell reads: options and words of `main`, and of each command behind its name. */
  script(program: string, main: Command, commands: readonly Command[]): string
}

type Entry = readonly [name: string, spec: Spec]

const words = (names: readonly string[]) => names.join(' ')
const optionsOf = ({ options }: Command): readonly Entry[] => Object.entries<Spec>({ ...options, ...commonOptions })
const isFile = ({ value }: Spec) => value === 'PATH' || value === 'FILE'
const namesOf = ([name, { letter }]: Entry) => [`--${name}`, ...letter === undefined ? [] : [`-${letter}`]]
/** For zsh and fish: in single quotes. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`

const bash: Shell = {
  name: 'bash',
  script: (program, main, commands) => {
    const first = words(commands.map(({ name }) => name))
    /** What comes after the word in `command`; `next` are words that may stand where so many do. */
    const branch = (pattern: string, command: Command, next: string) => {
      const cases = optionsOf(command).filter(([, { value }]) => value !== undefined).map(entry => {
        const [, spec] = entry
        const answer = isFile(spec) ? 'compgen -f -- "$word"' : `compgen -W '${words(spec.choices ?? [])}' -- "$word"`
        return `        ${namesOf(entry).join('|')}) mapfile -t COMPREPLY < <(${answer}); return ;;`
      })
      return [
        `    ${pattern})`,
        `      options='${words(optionsOf(command).flatMap(namesOf))}'${next}`,
        ...cases.length === 0 ? [] : ['      case $before in', ...cases, '      esac'],
        '      ;;',
      ]
    }
    return [
      `_${program}() {`,
      '  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= options= words=',
      '  if ((COMP_CWORD > 1)); then command=${COMP_WORDS[1]}; fi',
      '  case $command in',
      ...commands.flatMap(command => {
        const next = command.positionals.map(({ choices = [] }, index) => `; if ((COMP_CWORD == ${index + 2})); then words='${words(choices)}'; fi`)
        return branch(command.name, command, next.join(''))
      }),
      ...branch('*', main, `; if ((COMP_CWORD == 1)); then words='${first}'; fi`),
      '  esac',
      '  if [[ $word == -* ]]; then words=$options; fi',
      '  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")',
      '}',
      `complete -F _${program} ${program}`,
    ].join('\n')
  },
}

const zsh: Shell = {
  name: 'zsh',
  script: (program, main, commands) => {
    const describe = (text: string) => text.replaceAll(/[[\]:\\]/g, '\\$&')
    const branch = (pattern: string, command: Command, positionals: readonly string[]) => {
      const options = optionsOf(command).flatMap(entry => namesOf(entry).map(name => {
        const [, { value, choices, describe: about, repeatable }] = entry
        const action = value === undefined ? '' : isFile(entry[1]) ? ':file:_files' : `:${value}:(${words(choices ?? [])})`
        return quoted(`${repeatable ? '*' : ''}${name}[${describe(about)}]${action}`)
      }))
      return [`  ${pattern}) _arguments -s \\`, `${[...options, ...positionals.map(quoted)].map(spec => `    ${spec}`).join(' \\\n')} ;;`]
    }
    return [
      `#compdef ${program}`,
      `_${program}() {`,
      'case $words[2] in',
      ...commands.flatMap(command => branch(command.name, command, [
        `1:command:(${command.name})`, ...command.positionals.map(({ name, choices = [] }, index) => `${index + 2}:${name}:(${words(choices)})`),
      ])),
      ...branch('*', main, [`1:command:(${words(commands.map(({ name }) => name))})`]),
      'esac',
      '}',
      // As a file of $fpath it is the function itself, called to complete; sourced it only announces it.
      `if [[ $funcstack[1] == _${program} ]]; then _${program} "$@"; else compdef _${program} ${program}; fi`,
    ].join('\n')
  },
}

const fish: Shell = {
  name: 'fish',
  script: (program, main, commands) => {
    const add = (condition: string, rest: string) => `complete -c ${program} -n ${quoted(condition)} ${rest}`
    const options = (condition: string, command: Command) => optionsOf(command).map(([name, spec]) => add(condition, [
      `-l ${name}`, ...spec.letter === undefined ? [] : [`-s ${spec.letter}`],
      ...spec.value === undefined ? [] : [isFile(spec) ? '-r -F' : `-x${spec.choices === undefined ? '' : ` -a ${quoted(words(spec.choices))}`}`],
      `-d ${quoted(spec.describe)}`,
    ].join(' ')))
    return [
      `complete -c ${program} -f`,
      ...commands.map(({ name, summary }) => add('__fish_use_subcommand', `-a ${name} -d ${quoted(summary)}`)),
      ...options(`not __fish_seen_subcommand_from ${words(commands.map(({ name }) => name))}`, main),
      ...commands.flatMap(command => {
        const after = `__fish_seen_subcommand_from ${command.name}`
        const choices = command.positionals.flatMap(({ choices = [] }) => choices)
        return [...choices.length === 0 ? [] : [add(after, `-a ${quoted(words(choices))}`)], ...options(after, command)]
      }),
    ].join('\n')
  },
}

/** All shells that `completion` knows. */
export const shells: readonly Shell[] = [bash, zsh, fish]
