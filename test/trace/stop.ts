import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

/** A program that says what it was asked, and goes on as if nobody read what it prints. */
const program = `
import { interrupted } from ${JSON.stringify(new URL('../../src/trace/stop.js', import.meta.url).href)}
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
