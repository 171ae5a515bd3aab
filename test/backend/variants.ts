import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { backends, variants } from '../../src/backend/index.js'

test('variants that know the caller come first, then those that read a socket at a point that every call passes, then those that see packets', () => {
  assert.equal(variants.map(({ backend, needs }) => `${backend}: ${needs}`), [
    'fentry: Linux 5.12 with BTF and ftrace',
    'tracepoint: Linux 6.3 with BTF',
    'fentry: Linux 5.8 with BTF and ftrace',
    'kprobe: Linux 6.2 with BTF and CONFIG_KPROBE_EVENTS',
    'kprobe: Linux 5.5 with CONFIG_KPROBE_EVENTS',
    'tracepoint: Linux 5.12 with BTF',
    'tracepoint: Linux 5.5',
  ])
  assert.equal(variants.map(({ calls }) => calls), variants.map((_, index) => index < 2))
})

test('users read the names of the backends in alphabetical order, each once', () => {
  assert.equal(backends, ['fentry', 'kprobe', 'tracepoint'])
})

test.run()
