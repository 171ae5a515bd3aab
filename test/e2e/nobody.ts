import { spawnSync } from 'node:child_process'
import { whyUnprivileged } from '../kit/privilege.js'
import { asArgs, type Outcome, run } from './outcome.js'

/** What BPF programs need, from Linux 5.8 on. */
export const enough = ['bpf', 'perfmon']

/** The command that becomes nobody with these capabilities alone. */
export function nobody(...capabilities: readonly string[]): string[] {
  const only = ['-all', ...capabilities.map(name => `+${name}`)].join(',')
  const ids = ['--reuid', '65534', '--regid', '65534', '--clear-groups']
  return ['setpriv', ...ids, '--inh-caps', only, '--ambient-caps', only, '--bounding-set', only]
}

/** Why the tool cannot be run as nobody: setpriv may be too old to know the names, and the files not for everybody. */
export const withoutNobody = whyUnprivileged() ?? [[], enough]
  .map(capabilities => {
    const [file = '', ...args] = [...nobody(...capabilities), ...asArgs('--version')]
    return spawnSync(file, args, { encoding: 'utf8' })
  })
  .filter(({ status }) => status !== 0)
  .map(({ stderr, error }) => `the tool cannot be run as nobody: ${(stderr || `${error}`).trim()}`)[0]

export function asNobody(capabilities: readonly string[], ...args: string[]): Promise<Outcome> {
  const [file = '', ...rest] = [...nobody(...capabilities), ...asArgs(...args)]
  return run(file, rest)
}
