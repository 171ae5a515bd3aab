import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { tcpServices } from '../../../src/host/index.js'
import { Lookup } from '../../../src/view/screen/lookup.js'

const files: Record<string, string> = {
  '/etc/services': '# network services\nhttp\t\t80/tcp\t\twww\nhttp 80/udp\nhttps 443/tcp\nsecond 443/tcp\ndomain 53/udp\n#ssh 22/tcp\n',
  '/etc/passwd': 'root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\n',
  '/proc/7/cmdline': 'nginx: worker\0--flag\0',
  '/proc/7/status': 'Name:\tnginx\nUid:\t0\t33\t0\t0\n',
  '/proc/8/cmdline': '',
  '/proc/8/status': 'Uid:\t5\t77\t5\t5\n',
}

function lookup(answers: Record<string, readonly string[]> = {}) {
  const log: string[] = []
  const clock = { now: 0 }
  const held: (() => void)[] = []
  const names = new Lookup({
    readText: path => {
      log.push(path)
      return files[path]
    },
    reverse: async address => {
      log.push(address)
      await new Promise<void>(resolve => held.push(resolve))
      if (answers[address] === undefined) throw new Error('ENOTFOUND')
      return answers[address]
    },
    now: () => clock.now,
    arrived: () => log.push('arrived'),
  })
  const answer = async () => {
    held.splice(0).forEach(resolve => resolve())
    await turn()
  }
  return { names, log, clock, answer }
}

test('names of services are those of TCP, the first of each', () => {
  assert.equal([...tcpServices(files['/etc/services']!)].map(({ port, names: [name] }) => [port, name]), [[80, 'http'], [443, 'https'], [443, 'second']])
  const { names, log } = lookup()
  assert.equal([80, 443, 53, 22].map(port => names.service(port)), ['http', 'https', undefined, undefined])
  assert.equal(log, ['/etc/services'])
})

test('a host is its address until its name arrives, and is asked for once', async () => {
  const { names, log, clock, answer } = lookup({ '10.0.0.1': ['web.example', 'other.example'] })
  assert.is(names.host('10.0.0.1'), undefined)
  assert.is(names.host('10.0.0.1'), undefined)
  await answer()
  assert.is(names.host('10.0.0.1'), 'web.example')
  assert.equal(log, ['10.0.0.1', 'arrived'])
  clock.now = 301
  assert.is(names.host('10.0.0.1'), 'web.example')
  assert.equal(log, ['10.0.0.1', 'arrived', '10.0.0.1'])
})

test('that there is no name is remembered too', async () => {
  const { names, log, answer } = lookup()
  names.host('10.0.0.9')
  await answer()
  assert.is(names.host('10.0.0.9'), undefined)
  assert.equal(log, ['10.0.0.9', 'arrived'])
})

test('at most eight hosts are asked for at once', async () => {
  const { names, log, answer } = lookup()
  const all = () => Array.from({ length: 20 }, (_, index) => names.host(`10.0.0.${index}`))
  all()
  assert.is(log.length, 8)
  await answer()
  all()
  assert.is(log.filter(line => line !== 'arrived').length, 16)
})

test('details have the command line and the effective user', () => {
  const { names } = lookup()
  assert.equal(names.details(7), [['command', 'nginx: worker --flag'], ['user', 'www-data']])
  assert.equal(names.details(8), [['user', '77']])
  assert.equal(names.details(9), [])
})

test('what a process runs is read again after a moment', () => {
  const { names, log, clock } = lookup()
  names.command(7)
  names.command(7)
  assert.is(log.length, 1)
  clock.now = 3
  names.command(7)
  assert.is(log.length, 2)
})

test.run()
