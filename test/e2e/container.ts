import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'
import { enough, nobody, withoutNobody } from './nobody.js'
import { asArgs, complains, run, tool } from './outcome.js'
import { packed, root as checkout, unpack, withoutPackage } from './pack.js'
import { startTool } from './tool.js'
import { countsExactly } from './watch.js'

const alone = standAlone()
const reason = withoutPackage ?? alone.reason
const script = packed('/package')

/** A root with node where it is here, the libraries that it is linked with, and the package: no shell, no /tmp, and nothing in /etc. */
function makeRoot(): string {
  const root = mkdtempSync(join(tmpdir(), 'tcptop-root-'))
  process.once('exit', () => rmSync(root, { recursive: true, force: true }))
  const libraries = execFileSync('ldd', [process.execPath], { encoding: 'utf8' }).match(/\/\S+/g) ?? []
  for (const path of [process.execPath, ...libraries]) {
    mkdirSync(join(root, dirname(path)), { recursive: true })
    copyFileSync(path, join(root, path))
  }
  cpSync(unpack(), join(root, 'package'), { recursive: true })
  for (const name of ['proc', 'sys']) mkdirSync(join(root, name))
  return root
}

const root = reason === undefined ? makeRoot() : ''

/**
 * The command that goes there, with these of the kernel's file systems; what is mounted below them, tracefs and bpffs, stays behind. All is
 * read-only, the environment is empty.
 */
const within = (...mounts: readonly string[]) => ['unshare', '--mount', 'sh', '-ec', [
  'root=$1', 'shift', 'mount --bind "$root" "$root"',
  ...mounts.map(name => `mount --bind /${name} "$root/${name}"; mount -o remount,ro,bind "$root/${name}"`),
  'mount -o remount,ro,bind "$root"', 'exec env -i "$(command -v chroot)" "$root" "$@"',
].join('\n'), 'sh', root]

const rootTest = (title: string, run: () => Promise<void>) => test(title, unless(reason, title, run))

for (const mounts of [['proc', 'sys'], ['sys']]) {
  rootTest(`in a read-only root with nothing but node, the package and /${mounts.join(' and /')}, what others move is counted to the byte`, async () => {
    await countsExactly(['-v'], within(...mounts), script)
  })
}

rootTest('in a root where not even /sys and /proc are, one line says what is needed', async () => {
  const [file = '', ...args] = [...within(), process.execPath, script, '0.1', '1']
  complains(await run(file, args), 1, 'BTF', '--btf FILE', '/proc')
})

/** As the recipes have it, and with the user they cannot give capabilities to. */
const python = '/usr/bin/python3'
const recipe = (name: string) => join(checkout, 'tools/recipe', name)
const profile = recipe('seccomp.json')
const confine = (as: readonly string[], path = profile) => [...as, '--no-new-privs', python, join(checkout, 'tools/seccomp.py'), path]
const confined = (path?: string) => confine(nobody(...enough), path)
const onlyEnough = ['-all', ...enough.map(name => `+${name}`)].join(',')
const rootAlike = confine(['setpriv', '--inh-caps', onlyEnough, '--bounding-set', onlyEnough])
const confinedTest = (title: string, run: () => Promise<void>) =>
  test(title, unless(withoutNobody ?? (existsSync(python) ? undefined : `${python} is not here`), title, run))

for (const [who, command] of [['nobody', confined()], ['a root', rootAlike]] as const) {
  confinedTest(`${who} with two capabilities, no new privileges and under the seccomp profile counts to the byte`, async () => {
    await countsExactly([], command)
  })
}

confinedTest('under the profile of a plain run every backend that runs here, every grouping and format does', async () => {
  const { out } = await tool('doctor', '-f', 'json')
  const { checks } = JSON.parse(out) as { readonly checks: readonly { readonly name: string; readonly verdict: string }[] }
  const backends = checks.flatMap(({ name, verdict }) => /^backend/.test(name) && verdict === 'ok' ? [name.replace('backend ', '')] : [])
  assert.ok(backends.length > 0)
  const groupings = ['process', 'connection', 'cgroup'].map(name => ['--by', name])
  for (const args of [...backends.map(name => ['--backend', name]), ...groupings, ['-f', 'json'], ['-p', '1']]) {
    const [file = '', ...rest] = [...rootAlike, ...asArgs(...args, '0.1', '1')]
    const { status, err } = await run(file, rest)
    assert.equal([status, err], [0, ''], args.join(' '))
  }
})

confinedTest('without BTF it needs calls on sockets: the profile of all has them, and without them one line says so', async () => {
  const under = (name: string) => run(python, [join(checkout, 'tools/seccomp.py'), recipe(name), ...asArgs('--no-btf', '0.1', '1')])
  const { status, err } = await under('seccomp-all.json')
  assert.equal([status, err], [0, ''])
  complains(await under('seccomp.json'), 1, 'socket: ENOSYS', 'a seccomp filter hides')
})

/** The profile without a call. */
function profileWithout(call: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tcptop-seccomp-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const text = readFileSync(profile, 'utf8')
  writeFileSync(join(folder, 'seccomp.json'), text.replace(`"${call}", `, ''), { mode: 0o644 })
  assert.is.not(readFileSync(join(folder, 'seccomp.json'), 'utf8'), text)
  execFileSync('chmod', ['755', folder])
  return join(folder, 'seccomp.json')
}

confinedTest('a profile that hides bpf() is reported, and one that hides capset() only keeps the capabilities', async () => {
  const [file = '', ...args] = [...confined(profileWithout('bpf')), ...asArgs('0.1', '1')]
  complains(await run(file, args), 1, 'ENOSYS', 'a seccomp filter hides it')
  const [again = '', ...rest] = [...confined(profileWithout('capset')), ...asArgs('-v', '0.1', '1')]
  const { status, err } = await run(again, rest)
  assert.is(status, 0, err)
  assert.match(err, /^capabilities are not given up: capset: ENOSYS$/m)
})

for (const [who, command] of [['root', []], ['nobody', confined()], ['a root of two capabilities', rootAlike]] as const) {
  confinedTest(`while it counts as ${who}, no thread has a capability, and -v says so`, async () => {
    const counting = await startTool(['-v'], 0.2, command)
    try {
      const { pid } = counting.process
      const threads = readdirSync(`/proc/${pid}/task`).map(id => readFileSync(`/proc/${pid}/task/${id}/status`, 'utf8'))
      const holding = threads.filter(status => !/^CapPrm:\s*0+$/m.test(status) || !/^CapEff:\s*0+$/m.test(status))
      const said = /^gave up all capabilities(?: but (\w+), .*?)?$/m.exec(counting.stderr)
      assert.ok(said, counting.stderr)
      assert.is(holding.length, Number(said[1] !== undefined), holding.join('\n'))
      await counting.next()
    } finally {
      assert.is(await counting.stop(), 0, counting.stderr)
    }
  })
}

test.run()
