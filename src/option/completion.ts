import type { Spec } from './command-line.js'

type Specs = Readonly<Record<string, Spec>>

/** A shell whose completions there are. */
export interface Shell {
  readonly name: string
  /** The script that a user's shell reads, from the options and the words that may stand first. */
  script(program: string, specs: Specs, words: readonly string[]): string
}

const words = (names: readonly string[]) => names.join(' ')
const optionsOf = (specs: Specs) => Object.entries(specs).flatMap(([name, { letter }]) => [`--${name}`, ...letter === undefined ? [] : [`-${letter}`]])
const isFile = ({ value }: Spec) => value === 'PATH' || value === 'FILE'
const namesOf = ([name, { letter }]: readonly [string, Spec]) => [`--${name}`, ...letter === undefined ? [] : [`-${letter}`]]
/** For zsh and fish: in single quotes. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`

const bash: Shell = {
  name: 'bash',
  script: (program, specs, first) => {
    const cases = Object.entries(specs).filter(([, { value }]) => value !== undefined).map(entry => {
      const [, spec] = entry
      const answer = isFile(spec) ? 'compgen -f -- "$word"' : `compgen -W '${words(spec.choices ?? [])}' -- "$word"`
      return `    ${namesOf(entry).join('|')}) mapfile -t COMPREPLY < <(${answer}); return ;;`
    })
    return [
      `_${program}() {`,
      '  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}',
      '  case $before in',
      ...cases,
      '  esac',
      `  if [[ $word == -* ]]; then mapfile -t COMPREPLY < <(compgen -W '${words(optionsOf(specs))}' -- "$word")`,
      `  elif ((COMP_CWORD == 1)); then mapfile -t COMPREPLY < <(compgen -W '${words(first)}' -- "$word")`,
      '  fi',
      '}',
      `complete -F _${program} ${program}`,
    ].join('\n')
  },
}

const zsh: Shell = {
  name: 'zsh',
  script: (program, specs, first) => {
    const describe = (text: string) => text.replaceAll(/[[\]:\\]/g, '\\$&')
    const lines = Object.entries(specs).flatMap(entry => namesOf(entry).map(name => {
      const [, { value, choices, describe: about, repeatable }] = entry
      const action = value === undefined ? '' : isFile(entry[1]) ? ':file:_files' : `:${value}:(${words(choices ?? [])})`
      return `  ${quoted(`${repeatable ? '*' : ''}${name}[${describe(about)}]${action}`)}`
    }))
    return [
      `#compdef ${program}`,
      `_${program}() {`,
      '  _arguments -s \\',
      ...lines.map(line => `  ${line} \\`),
      `    '1:command:(${words(first)})'`,
      '}',
      // As a file of $fpath it is the function itself, called to complete; sourced it only announces it.
      `if [[ $funcstack[1] == _${program} ]]; then _${program} "$@"; else compdef _${program} ${program}; fi`,
    ].join('\n')
  },
}

const fish: Shell = {
  name: 'fish',
  script: (program, specs, first) => [
    `complete -c ${program} -f`,
    `complete -c ${program} -n __fish_use_subcommand -a ${quoted(words(first))}`,
    ...Object.entries(specs).map(([name, spec]) => [
      `complete -c ${program} -l ${name}`, ...spec.letter === undefined ? [] : [`-s ${spec.letter}`],
      ...spec.value === undefined ? [] : [isFile(spec) ? '-r -F' : `-x${spec.choices === undefined ? '' : ` -a ${quoted(words(spec.choices))}`}`],
      `-d ${quoted(spec.describe)}`,
    ].join(' ')),
  ].join('\n'),
}

/** All shells that `completion` knows. */
export const shells: readonly Shell[] = [bash, zsh, fish]
