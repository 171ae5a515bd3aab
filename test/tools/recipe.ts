import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { needed } from '../../src/host/privilege.js'
import { parseCommandLine } from '../../src/option/command-line.js'
import { optionsOf, specs } from '../../src/option/options.js'
import { additions, profiles, profileText } from '../../tools/seccomp-profile.js'
import { parseYaml, type Yaml } from './yaml.js'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const folder = join(root, 'tools/recipe')
const read = (name: string) => readFileSync(join(folder, name), 'utf8')
/** What is there under these keys and indices. */
const at = (value: Yaml | undefined, ...path: readonly (string | number)[]) =>
  path.reduce<Yaml | undefined>((from, key) => (from as Readonly<Record<string | number, Yaml>> | undefined)?.[key], value)

/** As recipes name them. */
const capabilities = needed.map(name => name.replace('CAP_', ''))

test('the compose file gives what the tool says it needs, and nothing else', () => {
  const service = at(parseYaml(read('compose.yaml')), 'services', 'tcptop')
  assert.equal([at(service, 'cap_drop'), at(service, 'cap_add')], [['ALL'], capabilities])
  assert.equal(at(service, 'security_opt'), ['no-new-privileges:true', 'seccomp:seccomp.json'])
  assert.equal(['user', 'read_only', 'pid', 'network_mode'].map(key => at(service, key)), ['0:0', 'true', 'host', 'none'])
  for (const key of ['privileged', 'volumes', 'devices', 'userns_mode', 'ipc']) assert.is(at(service, key), undefined, key)
  assert.ok(existsSync(join(folder, at(service, 'build', 'context') as string, at(service, 'build', 'dockerfile') as string)))
})

test('the DaemonSet gives what the tool says it needs, and nothing else', async () => {
  const set = parseYaml(read('daemonset.yaml'))
  assert.equal([at(set, 'apiVersion'), at(set, 'kind')], ['apps/v1', 'DaemonSet'])
  assert.equal(at(set, 'spec', 'selector', 'matchLabels'), at(set, 'spec', 'template', 'metadata', 'labels'))
  const pod = at(set, 'spec', 'template', 'spec')
  const { containers, ...around } = pod as Readonly<Record<string, Yaml>>
  assert.equal(around, { hostPID: 'true', automountServiceAccountToken: 'false' })
  assert.is((containers as readonly Yaml[]).length, 1)
  assert.equal(at(containers, 0, 'securityContext'), {
    runAsUser: '0',
    runAsGroup: '0',
    privileged: 'false',
    allowPrivilegeEscalation: 'false',
    readOnlyRootFilesystem: 'true',
    capabilities: { drop: ['ALL'], add: capabilities },
    seccompProfile: { type: 'Localhost', localhostProfile: 'tcptop.json' },
  })
  assert.is(at(containers, 0, 'volumeMounts'), undefined)
  assert.ok(optionsOf(await parseCommandLine(at(containers, 0, 'args') as readonly string[], specs)).interval > 0)
})

test('the image has nothing but what its first stage puts together, and runs what the package has', () => {
  const stages = read('Dockerfile').split(/^FROM /m).slice(1)
  assert.is(stages.length, 2)
  const last = stages[1]!.trim().split('\n')
  assert.equal(last.map(line => line.split(' ')[0]), ['scratch', 'COPY', 'ENTRYPOINT'])
  const [, script] = JSON.parse(last[2]!.slice('ENTRYPOINT '.length)) as readonly string[]
  const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly bin: { readonly tcptop: string } }
  assert.is(script, `/package/${bin.tcptop}`)
})

const namesIn = (text: string) => {
  const { defaultAction, syscalls } = JSON.parse(text) as {
    readonly defaultAction: string
    readonly syscalls: readonly { readonly names: readonly string[]; readonly action: string }[]
  }
  assert.is(defaultAction, 'SCMP_ACT_ERRNO')
  assert.equal(syscalls.map(({ action }) => action), ['SCMP_ACT_ALLOW'])
  return syscalls.flatMap(({ names }) => names)
}

for (const [name, needs] of Object.entries(profiles)) {
  test(`${name} is what node dist/tools/seccomp-profile.js writes, each call once, none of which makes a process or gives privileges`, () => {
    assert.is(read(name), profileText(needs))
    const names = namesIn(read(name))
    assert.equal(names, [...new Set(names)].sort())
    for (const name of ['fork', 'vfork', 'mount', 'setns', 'unshare', 'setuid', 'ptrace', 'init_module', 'kexec_load', 'io_uring_setup']) {
      assert.not.ok(names.includes(name), name)
    }
  })
}

test('the profile of a plain run has no call that makes a connection, signals others or removes files', () => {
  const names = namesIn(read('seccomp.json'))
  const beyond = ['accept', 'accept4', 'bind', 'connect', 'kill', 'listen', 'recvmsg', 'rename', 'sendmsg', 'sendto', 'socket', 'socketpair', 'unlink', 'unlinkat']
  assert.equal(beyond.filter(name => names.includes(name)), [])
  const all = namesIn(read('seccomp-all.json'))
  assert.equal(all.filter(name => !names.includes(name)), additions.flatMap(({ calls }) => calls).sort())
})

for (const [text, reason] of [
  ['a: 1\na: 2', /was there/], ['a:\nb: 1', /nothing below a/], ['a: 1\n  b: 2', /indentation/],
  ['a: {b: c}', /no plain scalar/], ['a: |', /no plain scalar/],
] as const) {
  test(`YAML that is broken or that the reader does not know is refused: ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseYaml(text), reason)
  })
}

test.run()
