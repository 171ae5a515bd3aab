import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { unless, whyUnprivileged } from '../kit/privilege.js'

const door = (name: string) => JSON.stringify(new URL(`../../${name}/index.js`, import.meta.url).href)

/** What a tool prints on stderr, and its exit status, when its work throws this. */
function fails(thrown: string, user: { uid?: number } = {}): { readonly status: number | null; readonly stderr: string } {
  const script = `
    import { runTool } from ${door('src/trace')}
    import { SyscallError, UnsupportedError, VerifierError } from ${door('syscall')}
    await runTool('it', async () => { throw ${thrown} })`
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: '/', encoding: 'utf8', ...user })
  return { status, stderr }
}

test('a tool fails in one line', () => {
  assert.equal(fails('new UnsupportedError("it", "Linux 99")'), { status: 1, stderr: 'it: it needs Linux 99\n' })
  assert.equal(fails('new SyscallError("bpf(BPF_MAP_CREATE)", 22)'), { status: 1, stderr: 'it: bpf(BPF_MAP_CREATE): EINVAL\n' })
})

test('a program that the verifier rejects is explained', () => {
  const log = '0: R1=ctx() R10=fp0\\n0: (95) exit\\nR0 !read_ok\\n'
  const { status, stderr } = fails(`new VerifierError("prog", 13, "${log}", { notes: ["the end"] })`)
  assert.is(status, 1)
  const [first, ...rest] = stderr.trimEnd().split('\n')
  assert.match(first!, /^it: load prog: EACCES: R0 !read_ok at 0: \(95\) exit \(the end\)/)
  for (const part of [/^> +0: \(95\) exit +<- the end$/, /^The verifier says: R0 !read_ok$/, /^It means: /, /^Fix: /]) {
    assert.ok(rest.some(line => part.test(line)), `${part} in ${stderr}`)
  }
})

const advised = 'without privileges a tool says which and how to get them'
test(advised, unless(whyUnprivileged(), advised, () => {
  const { status, stderr } = fails('new SyscallError("bpf(BPF_MAP_CREATE)", 1)', { uid: 65534 })
  assert.is(status, 1)
  assert.match(stderr, /^it: bpf\(BPF_MAP_CREATE\): EPERM: this process lacks CAP_BPF and CAP_PERFMON; run it as root, or with both\n$/)
}))

/** A program that says what it was asked, and goes on as if nobody read what it prints. */
const program = `
import { interrupted } from ${JSON.stringify(new URL('../../src/trace/tool.js', import.meta.url).href)}
const stop = interrupted()
stop.addEventListener('abort', () => console.log('asked to stop'))
setInterval(() => {}, 1000)
console.log(stop.aborted)
`

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

for (const first of signals) {
  test(`${first} asks a program to stop, any second signal ends it at once and well`, async () => {
    for (const second of signals) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
        stdio: ['ignore', 'pipe', 'inherit'], timeout: 30_000, killSignal: 'SIGKILL',
      })
      const ended = once(child, 'exit')
      const line = async () => `${(await once(child.stdout, 'data'))[0]}`
      try {
        assert.is(await line(), 'false\n')
        child.kill(first)
        assert.is(await line(), 'asked to stop\n')
        assert.is(child.exitCode, null)
        child.kill(second)
        assert.equal(await ended, [0, null], `${first}, ${second}`)
      } finally {
        child.kill('SIGKILL')
      }
    }
  })
}

test.run()
