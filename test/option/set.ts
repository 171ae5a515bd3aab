import { constants } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { cgroupSet, mistaken, mntnsSet, openSet, pinSets, SetAppeared, type SetKind } from '../../src/option/set.js'
import { UsageError } from '../../src/usage-error.js'
import { type Kernel, SyscallError } from '../../syscall/index.js'
import { batch, info, mapCreate, mapInfo, mapType, object } from '../../syscall/uapi.js'
import { type Answer, bufferOf, type Call, fakeKernel, numberOf, openFake, putField } from '../kit/fake.js'

const { EACCES, EEXIST, EINVAL, ENOENT, ENOTDIR, EPERM } = constants.errno
const path = '/sys/fs/bpf/set'
const kinds: readonly SetKind[] = [cgroupSet, mntnsSet]

type Shape = Partial<Record<'type' | 'key_size' | 'value_size' | 'max_entries', number>>

/** A kernel with a map pinned at `path`. */
function pinned(shape: Shape = {}, more: Answer = () => {}) {
  const fields = { type: mapType.hash, key_size: 8, value_size: 4, max_entries: 1024, ...shape }
  const fake = fakeKernel(call => {
    if (call.name !== 'OBJ_GET_INFO_BY_FD') return more(call)
    const view = new DataView(bufferOf(call, info, 'info')!.buffer)
    for (const [name, value] of Object.entries(fields)) {
      view.setUint32(mapInfo.fields[name as keyof typeof fields][0], value, true)
    }
    return
  })
  return { ...fake, kernel: openFake(fake.native) }
}

/** A kernel that answers some commands with an errno. */
function refusing(errnos: Partial<Record<Call['name'], number>>) {
  const fake = fakeKernel(({ name }) => errnos[name] === undefined ? undefined : -errnos[name])
  return { ...fake, kernel: openFake(fake.native) }
}

/** Anything may be pinned anywhere. */
const open = (kernel: Kernel, kind: SetKind) => openSet(kernel, kind, path, () => true)

function failureOf(run: () => unknown): Error {
  try {
    run()
  } catch (error) {
    return error as Error
  }
  throw new Error('it did not fail')
}

const beginning = ({ option }: SetKind) =>
  `${option} must be the path of a pinned BPF hash map with keys of 8 bytes, got "${path}": `

test('a hash with keys of 8 bytes is a set, whatever its values', () => {
  for (const kind of kinds) {
    for (const type of [mapType.hash, mapType.lru_hash]) {
      for (const value_size of [1, 4, 8, 100]) {
        const { kernel, made, closed } = pinned({ type, value_size })
        assert.is(open(kernel, kind).map.fd, made[0])
        assert.equal(closed, [])
      }
    }
  }
})

test('a map that is not a set is refused with its actual shape, and closed', () => {
  for (const kind of kinds) {
    for (const [shape, what] of [
      [{ key_size: 4 }, 'its keys have 4 bytes'],
      [{ key_size: 16 }, 'its keys have 16 bytes'],
      [{ type: mapType.array, key_size: 4 }, 'it is of type array'],
      [{ type: mapType.percpu_hash }, 'it is of type percpu_hash'],
      [{ type: 999 }, 'it is of an unknown type'],
    ] as const) {
      const { kernel, made, closed } = pinned(shape)
      const error = failureOf(() => open(kernel, kind))
      assert.instance(error, UsageError)
      assert.is(error.message, `${beginning(kind)}${what}`)
      assert.equal([kernel.open, closed], [0, made])
    }
  }
})

test('if nothing is at the path, an empty set is created as bcc does, used, and pinned last', () => {
  for (const [kind, valueSize] of [[cgroupSet, 8], [mntnsSet, 4]] as const) {
    const { kernel, calls, closed } = refusing({ OBJ_GET: ENOENT })
    const set = open(kernel, kind)
    assert.equal([set.isNew, calls.map(({ name }) => name)], [true, ['OBJ_GET', 'MAP_CREATE']])
    const field = (name: keyof typeof mapCreate.fields) => numberOf(calls[1]!, mapCreate, name)
    assert.equal([field('map_type'), field('key_size')], [mapType.hash, 8])
    assert.equal([field('value_size'), field('max_entries')], [valueSize, 1024])
    pinSets([set], () => { throw new Error('it is pinned') })
    assert.is(calls.length, 3)
    assert.is(numberOf(calls[2]!, object, 'bpf_fd'), set.map.fd)
    assert.is(new TextDecoder().decode(bufferOf(calls[2]!, object, 'pathname')), `${path}\0`)
    assert.equal([kernel.open, closed], [1, []])
  }
})

test('a set that was there is not pinned again', () => {
  const { kernel, calls } = pinned()
  pinSets(kinds.map(kind => open(kernel, kind)), () => {})
  assert.not.ok(calls.some(({ name }) => name === 'OBJ_PIN'))
})

test('a set that cannot be pinned is a usage error, and no pin stays', () => {
  for (const refused of [1, 2]) {
    let pins = 0
    const { native } = fakeKernel(({ name }) => name === 'OBJ_GET' ? -ENOENT : name === 'OBJ_PIN' && ++pins === refused ? -EPERM : undefined)
    const removed: string[] = []
    const sets = kinds.map(kind => openSet(openFake(native), kind, `/${kind.name}`, () => true))
    const error = failureOf(() => pinSets(sets, path => void removed.push(path)))
    assert.instance(error, UsageError)
    const { option, name } = kinds[refused - 1]!
    assert.is(error.message, `${option} must be the path of a pinned BPF hash map with keys of 8 bytes, got "/${name}": `
      + 'nothing is there and no map can be pinned there (EPERM); is a bpf file system mounted?')
    assert.instance(error.cause, SyscallError)
    assert.equal(removed, refused === 1 ? [] : ['/cgroup_ids'])
  }
})

test('a set that cannot be created is a refusal of the kernel', () => {
  const error = failureOf(() => open(refusing({ OBJ_GET: ENOENT, MAP_CREATE: EPERM }).kernel, cgroupSet))
  assert.is(error.message, 'bpf(BPF_MAP_CREATE): EPERM')
})

test('a set that another process pinned meanwhile is used, and existing pins stay', () => {
  for (const refused of [1, 2]) {
    let pins = 0
    const { native } = fakeKernel(({ name }) => name === 'OBJ_GET' ? -ENOENT : name === 'OBJ_PIN' && ++pins === refused ? -EEXIST : undefined)
    const sets = kinds.map(kind => openSet(openFake(native), kind, `/${kind.name}`, () => true))
    assert.instance(failureOf(() => pinSets(sets, () => { throw new Error('nothing is to be removed') })), SetAppeared)
  }
})

test('a refused name with a dot is reported as such', () => {
  const error = failureOf(() => openSet(refusing({ OBJ_GET: EPERM }).kernel, cgroupSet, '/sys/fs/bpf/a.b', () => true))
  assert.instance(error, UsageError)
  assert.match(error.message, /got "\/sys\/fs\/bpf\/a\.b": a bpf file system allows no dot in names \(EPERM\)$/)
  assert.instance(failureOf(() => openSet(refusing({ OBJ_GET: EPERM }).kernel, cgroupSet, '/mnt/a.b/set', () => true)), SyscallError)
})

test('a path that is not a map is refused', () => {
  for (const kind of kinds) {
    for (const errno of [EINVAL, ENOTDIR, EACCES]) {
      const error = failureOf(() => openSet(refusing({ OBJ_GET: errno }).kernel, kind, path, () => false))
      assert.instance(error, UsageError)
      assert.is(error.message, `${beginning(kind)}it is not a BPF map`)
      assert.instance(error.cause, SyscallError)
    }
  }
})

test('missing privileges are not blamed on the path', () => {
  for (const [errno, message] of [[EPERM, 'bpf(BPF_OBJ_GET): EPERM'], [EACCES, 'bpf(BPF_OBJ_GET): EACCES']] as const) {
    const error = failureOf(() => open(refusing({ OBJ_GET: errno }).kernel, cgroupSet))
    assert.instance(error, SyscallError)
    assert.is(error.message, message)
  }
})

test('a pinned program is not a map', () => {
  const { kernel } = refusing({ MAP_GET_NEXT_KEY: EINVAL })
  assert.is(failureOf(() => open(kernel, mntnsSet)).message, `${beginning(mntnsSet)}it is not a BPF map`)
  assert.is(kernel.open, 0)
})

/** What is said of a set with these members, `each` of them a batch; after small ones comes an empty one. */
function saidOf(kind: SetKind, ids: readonly bigint[], shape: Shape = {}, each = 1024) {
  const left = [...ids]
  let batches = 0
  const { kernel } = pinned(shape, call => {
    if (call.name !== 'MAP_LOOKUP_BATCH') return
    batches++
    const keys = bufferOf(call, batch, 'keys')!
    const some = left.splice(0, Math.min(each, numberOf(call, batch, 'count')))
    some.forEach((id, index) => new DataView(keys.buffer).setBigUint64(8 * index, id, true))
    putField(call, batch, 'count', some.length)
    return left.length === 0 && (some.length === 0 || each === 1024) ? -ENOENT : 0
  })
  return { said: mistaken(kind, open(kernel, kind).map), batches: () => batches }
}

const cgroups = [1n, 4711n, 0x1_0000_0000n, 0xefff_ffffn]
const namespaces = [0xf000_0000n, 0xf000_0002n, 0xffff_ffffn]

test('a set of the other kind gets one line that names the right option', () => {
  assert.is(saidOf(cgroupSet, namespaces).said,
    '--cgroupmap: no key can be a cgroup id; ids of mount namespaces belong to --mntnsmap')
  assert.is(saidOf(mntnsSet, cgroups).said,
    '--mntnsmap: no key can be the inode of a mount namespace; ids of cgroups belong to --cgroupmap')
})

test('an empty set and one with a plausible key get no warning', () => {
  for (const kind of kinds) assert.is(saidOf(kind, []).said, undefined)
  assert.is(saidOf(cgroupSet, cgroups).said, undefined)
  assert.is(saidOf(mntnsSet, namespaces).said, undefined)
  assert.is(saidOf(cgroupSet, [...namespaces, 1n]).said, undefined)
  assert.is(saidOf(mntnsSet, [...cgroups, 0xf000_0001n]).said, undefined)
})

test('a set of any size is read, up to the first plausible key', () => {
  const shape = { max_entries: 2 ** 32 - 1 }
  const many = Array.from({ length: 5000 }, (_, index) => 1n + BigInt(index))
  assert.match(saidOf(mntnsSet, many, shape).said!, /^--mntnsmap/)
  assert.is(saidOf(mntnsSet, [...many, namespaces[0]!], shape).said, undefined)
  assert.match(saidOf(mntnsSet, many, shape, 500).said!, /^--mntnsmap/)
  const soon = saidOf(mntnsSet, [1n, 2n, namespaces[0]!, ...many], shape, 2)
  assert.equal([soon.said, soon.batches()], [undefined, 2])
})

test.run()
