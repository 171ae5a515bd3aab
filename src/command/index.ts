import { packageVersion } from '../asset.js'
import { checkCommand, choice, type Command, either, helpOf, optionsOf, readCommand, shells, specs } from '../option/index.js'
import { groupings } from '../view/index.js'
import { doctor } from './doctor.js'
import { diff, dump, record, replay } from './recording.js'
import { watch } from './watch.js'
import type { World } from './world.js'

export { explain, isClosedPipe } from './explain.js'
export type { World } from './world.js'

const program = 'tcptop'

/** What is done without a command. */
const main: Command<World> = {
  name: '',
  summary: 'top for TCP',
  usage: '[options] [interval] [count]',
  help: `Top for TCP: bytes that processes receive and send, by ${either(groupings)}.
Prints every interval seconds (default 1, at least 0.1), count times or until
Ctrl-C. The doctor reports whether it runs on this host, and what to do if not.`,
  options: specs,
  positionals: [{ name: 'interval' }, { name: 'count' }],
  examples: [
    ['$0', 'one line for each process and connection, every second'],
    ['$0 -C 5 12', 'every 5 seconds for a minute, one after the other'],
    ['$0 -p 181,182', 'only these processes'],
    ['$0 --by host -s received -r 10', 'the 10 hosts from which most is received'],
    ['$0 -f json 10', 'an object every 10 seconds, for other programs'],
    ['$0 --dump-bpf -4', 'the programs for IPv4 only, annotated'],
    ['$0 doctor', 'whether it runs here; needs no privileges'],
    ['source <($0 completion bash)', 'completions for this shell'],
  ],
  run: async (line, world) => {
    await watch(optionsOf(line, commands.map(({ name }) => name)), world)
    return 0
  },
}

const completion: Command<World> = {
  name: 'completion',
  summary: 'completions for a shell',
  usage: shells.map(({ name }) => name).join('|'),
  help: 'Prints the script with which a shell completes commands, options and their\nvalues.',
  options: {},
  positionals: [{ name: 'shell', choices: shells.map(({ name }) => name) }],
  examples: [['source <($0 completion bash)', 'completions for this shell']],
  run: async ({ rest: [shell = ''] }, world) => {
    await world.out.write(`${choice('completion', shells, shell).script(program, main, commands)}\n`)
    return 0
  },
}

const help: Command<World> = {
  name: 'help',
  summary: 'help about a command',
  help: 'Prints the help of a command, or of all without one.',
  options: {},
  positionals: [{ name: 'command', choices: [record, replay, dump, diff, doctor, completion].map(({ name }) => name) }],
  examples: [],
  run: async ({ rest: [name] }, world) => {
    await world.out.write(helpFor(name === undefined ? main : choice('help', commands, name)))
    return 0
  },
}

/** All commands that have a name, in the order of help and completions. To add one takes an entry here. */
export const commands: readonly Command<World>[] = [record, replay, dump, diff, doctor, completion, help]

const helpFor = (command: Command<World>) => helpOf(program, command, command === main ? commands : [])

/**
 * Does what a command line asks for, and returns the exit status; `onRead` is called with whether it is to be verbose. Throws UsageError, and whatever goes
 * wrong.
 */
export async function obey(argv: readonly string[], world: World, onRead: (verbose: boolean) => void): Promise<number> {
  const asked = await readCommand(argv, main, commands)
  const { command, line } = asked
  onRead(line.has('verbose'))
  const answer = line.has('help') ? helpFor(command) : line.has('version') ? `${program} ${packageVersion()}\n` : undefined
  if (answer !== undefined) {
    await world.out.write(answer)
    return 0
  }
  checkCommand(asked)
  return await command.run(line, world)
}
