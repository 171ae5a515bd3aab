import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test as uvu } from 'uvu'
import * as assert from 'uvu/assert'
import { type BpfMap, type MapType, openKernel } from '../../syscall/index.js'
import { standAlone } from '../kit/alone.js'
import { unless } from '../kit/privilege.js'
import { type Net, Peer } from './peer.js'
import { startTool, type Tool } from './tool.js'
import { compile, differences, Run, type Truth } from './workload.js'

const { reason, cgroup, cgroups } = standAlone()
const test = (title: string, run: () => Promise<void>) => uvu(title, unless(reason, title, run))
const nets: readonly Net[] = ['ipv4', 'ipv6', 'mapped']

const group = join(cgroup, 'group')
const child = join(group, 'child')
const bpffs = mkdtempSync(join(tmpdir(), 'tcptop-'))

uvu.before(() => {
  if (reason !== undefined) return
  execFileSync('mount', ['-t', 'bpf', 'bpf', bpffs])
  mkdirSync(child, { recursive: true })
})

uvu.after(() => {
  if (reason === undefined) {
    execFileSync('umount', [bpffs])
    for (const folder of [child, group]) rmdirSync(folder)
  }
  rmdirSync(bpffs)
})

/** What is started meanwhile is in the cgroup. */
function inside<T>(folder: string, start: () => T): T {
  writeFileSync(join(folder, 'cgroup.procs'), `${process.pid}`)
  try {
    return start()
  } finally {
    writeFileSync(join(cgroup, 'cgroup.procs'), `${process.pid}`)
  }
}

/** Gives `body` peers, started as it is told, and ends them. */
async function withPeers(starts: readonly (() => Promise<Peer>)[], body: (...peers: Peer[]) => Promise<void>): Promise<void> {
  const peers: Peer[] = []
  try {
    for (const start of starts) peers.push(await start())
    await body(...peers)
  } finally {
    await Promise.all(peers.map(peer => peer.stop()))
  }
}

/** Runs `body` beside the tool and returns it when it has ended, well. */
async function withTool(args: readonly string[], body: (tool: Tool) => Promise<unknown>): Promise<Tool> {
  const tool = await startTool(args, 0.2)
  let status: number | null = null
  try {
    await body(tool)
  } finally {
    status = await tool.stop()
  }
  assert.is(status, 0, tool.stderr)
  return tool
}

/** All of them move something on connections to themselves and to each other. */
async function traffic(peers: readonly Peer[]): Promise<void> {
  for (const [index, peer] of peers.entries()) {
    for (const net of nets) {
      await peer.move(1000 + 77 * index, net)
      await peer.move(20_011 + index, net, peers[(index + 1) % peers.length])
    }
  }
}

async function truthOf(...peers: readonly Peer[]): Promise<readonly Truth[]> {
  return (await Promise.all(peers.map(peer => peer.truth()))).flat()
}

const rowsOf = ({ lines }: Tool) => lines.flatMap(({ rows }) => rows)
const sum = <T>(values: readonly T[], of: (value: T) => number) => values.reduce((total, value) => total + of(value), 0)

/** The tool said this and nothing else: no row of others, no bytes that are in no row. */
function exactly(truth: readonly Truth[], tool: Tool): void {
  const found = differences(truth, tool.lines)
  const wanted = new Set(truth.map(({ pid }) => pid))
  found.push(...rowsOf(tool).filter(({ pid }) => !wanted.has(pid)).map(row => `not wanted: ${JSON.stringify(row)}`))
  assert.is(found.length, 0, found.slice(0, 20).join('\n'))
  for (const counter of ['rx', 'tx'] as const) {
    assert.is(sum(tool.lines, ({ total }) => total[counter]), sum(truth, row => row[counter]), `total ${counter}`)
    assert.is(sum(tool.lines, ({ lost }) => lost[counter]), 0, `lost ${counter}`)
  }
}

const outside = () => Peer.start()

test('one process, a list of them and the option repeated show these processes alone', async () => {
  await withPeers([outside, outside, outside], async (a, b, c) => {
    for (const [args, wanted] of [
      [['-p', `${a!.pid}`], [a!]],
      [['-p', `${a!.pid},${b!.pid}`], [a!, b!]],
      [['-p', `${b!.pid}`, '--pid', `${c!.pid}`], [b!, c!]],
      [['-p', `${a!.pid},${b!.pid}`, `-p${c!.pid}`], [a!, b!, c!]],
    ] as const) {
      await truthOf(a!, b!, c!)
      const tool = await withTool(args, () => traffic([a!, b!, c!]))
      exactly(await truthOf(...wanted), tool)
    }
  })
})

test('of tens of thousands of pids, those that are there are shown, and the start takes no longer than that of others', async () => {
  await withPeers([outside, outside], async (a, b) => {
    // As many as fit into arguments, which have 128 KiB each.
    const others = Array.from({ length: 5 }, (_, part) => Array.from({ length: 10_000 }, (_, index) => 4_000_000 + 10_000 * part + index))
    const args = [...others.flatMap(pids => ['-p', pids.join(',')]), '-p', `${a!.pid}`]
    await truthOf(a!, b!)
    const tool = await withTool(args, () => traffic([a!, b!]))
    exactly(await truthOf(a!), tool)
  })
})

test('a missing process shows nothing', async () => {
  await withPeers([outside], async peer => {
    exactly([], await withTool(['-p', '4194304'], () => traffic([peer!])))
  })
})

for (const [option, family] of [['-4', 4], ['--ipv4', 4], ['-6', 6], ['--ipv6', 6]] as const) {
  test(`${option} shows IPv${family} alone, and counts mapped addresses as IPv4`, async () => {
    await withPeers([outside, outside], async (a, b) => {
      const tool = await withTool([option], () => traffic([a!, b!]))
      const truth = await truthOf(a!, b!)
      const wanted = truth.filter(row => row.family === family)
      assert.is(wanted.length, family === 4 ? 16 : 8)
      assert.is(truth.length, 24)
      assert.equal(differences(wanted, tool.lines), [])
      assert.equal(rowsOf(tool).filter(row => row.family !== family), [])
    })
  })
}

test('what sockets of each kind move is exact with -4 and with -6', async () => {
  compile()
  for (const [option, family] of [['-4', 4], ['-6', 6]] as const) {
    let truth: readonly Truth[] = []
    const tool = await withTool([option], async () => {
      for (const name of ['ipv6', 'dual-stack-server', 'mapped-client', 'vectored-calls', 'inherited-over-fork']) {
        const run = await new Run(name).finish()
        assert.is(run.skipped, undefined)
        truth = [...truth, ...run.truth]
      }
    })
    assert.is(new Set(truth.map(({ family }) => family)).size, 2)
    assert.equal(differences(truth.filter(row => row.family === family), tool.lines), [])
    assert.equal(rowsOf(tool).filter(row => row.family !== family), [])
  }
})

test('a family and a process together show what both allow', async () => {
  await withPeers([outside, outside], async (a, b) => {
    const tool = await withTool(['-6', '-p', `${b!.pid}`], () => traffic([a!, b!]))
    exactly((await truthOf(b!)).filter(({ family }) => family === 6), tool)
  })
})

test('--cgroup shows a cgroup and those below it', async () => {
  const starts = [() => inside(group, outside), () => inside(child, outside), outside]
  await withPeers(starts, async (a, b, c) => {
    for (const [folder, wanted] of [[group, [a!, b!]], [child, [b!]]] as const) {
      await truthOf(a!, b!, c!)
      const tool = await withTool(['--cgroup', folder], () => traffic([a!, b!, c!]))
      exactly(await truthOf(...wanted), tool)
    }
  })
})

test('each row shows the cgroup of its process, also of one that is older than the tool', async () => {
  const paths = [group, child].map(folder => folder.slice(cgroups.length))
  await withPeers([() => inside(group, outside), () => inside(child, outside)], async (a, b) => {
    await a!.move(10, 'ipv4', b!)
    await truthOf(a!, b!)
    const tool = await withTool(['-p', `${a!.pid},${b!.pid}`], () => traffic([a!, b!]))
    exactly(await truthOf(a!, b!), tool)
    for (const row of rowsOf(tool)) assert.is(row.cgroup, row.pid === a!.pid ? paths[0] : paths[1])

    const all = await withTool(['--by', 'cgroup'], () => traffic([a!, b!]))
    const sums = paths.map(path => sum(rowsOf(all).filter(({ cgroup }) => cgroup === path), ({ rx }) => rx))
    const truths = await Promise.all([a!, b!].map(async peer => sum(await peer.truth(), ({ rx }) => rx)))
    assert.equal(sums, truths)
  })
})

test('a process that changes its cgroup is counted from there on', async () => {
  await withPeers([outside], async peer => {
    await peer!.move(111)
    let truth: readonly Truth[] = []
    const tool = await withTool(['-c', group], async () => {
      await peer!.move(222)
      await peer!.truth()
      writeFileSync(join(group, 'cgroup.procs'), `${peer!.pid}`)
      await peer!.move(3333)
      truth = await peer!.truth()
      writeFileSync(join(cgroup, 'cgroup.procs'), `${peer!.pid}`)
      await peer!.move(44)
    })
    exactly(truth, tool)
  })
})

/** Keys are 8 bytes, whatever the values are. */
const key = (id: bigint) => new Uint8Array(BigUint64Array.of(id).buffer)
const cgroupId = (folder: string) => statSync(folder, { bigint: true }).ino
const mntnsId = ({ pid }: Peer) => statSync(`/proc/${pid}/ns/mnt`, { bigint: true }).ino
const add = (set: BpfMap, id: bigint) => set.update(key(id), new Uint8Array(set.valueSize))

let pins = 0
const freshPath = () => join(bpffs, `set${pins++}`)

/** Pins a set of these ids, which `body` can change. */
async function withSet(
  ids: readonly bigint[], body: (path: string, set: BpfMap) => Promise<void>, type: MapType = 'hash', valueSize = 8,
): Promise<void> {
  const set = openKernel().createMap({ name: 'set', type, keySize: 8, valueSize, maxEntries: 1024 })
  try {
    for (const id of ids) add(set, id)
    const path = freshPath()
    set.pin(path)
    await body(path, set)
  } finally {
    set.close()
  }
}

for (const type of ['hash', 'lru_hash'] as const) {
  test(`--cgroupmap with a map of type ${type} shows these cgroups, not those below them`, async () => {
    const starts = [() => inside(group, outside), () => inside(child, outside), outside]
    await withPeers(starts, (a, b, c) => withSet([cgroupId(group)], async path => {
      const tool = await withTool(['--cgroupmap', path], () => traffic([a!, b!, c!]))
      exactly(await truthOf(a!), tool)
      assert.is(tool.stderr, '')
    }, type))
  })

  test(`--mntnsmap with a map of type ${type} shows these mount namespaces`, async () => {
    await withPeers([() => Peer.start('unshare', '-m'), () => Peer.start('unshare', '-m'), outside], async (a, b, c) => {
      await withSet([mntnsId(a!), mntnsId(b!)], async path => {
        const tool = await withTool(['--mntnsmap', path], () => traffic([a!, b!, c!]))
        exactly(await truthOf(a!, b!), tool)
        assert.is(tool.stderr, '')
      }, type, 4)
    })
  })
}

/** Where a peer is that a set can choose, and the id to choose it by. */
const places = [
  { option: '--cgroupmap', name: 'cgroup_ids', valueSize: 8, start: () => inside(group, outside), id: () => cgroupId(group) },
  { option: '--mntnsmap', name: 'mntns_ids', valueSize: 4, start: () => Peer.start('unshare', '-m'), id: mntnsId },
] as const

for (const { option, name, valueSize, start, id } of places) {
  test(`an empty ${option} shows nothing`, async () => {
    await withPeers([start], peer => withSet([], async path => {
      const tool = await withTool([option, path], () => traffic([peer!]))
      exactly([], tool)
      assert.is(tool.stderr, '')
    }))
  })

  test(`an entry put into ${option} or taken out takes effect at once, also for connections there are`, async () => {
    await withPeers([start, outside], (peer, other) => withSet([], async (path, set) => {
      const truths: (readonly Truth[])[] = []
      const tool = await withTool([option, path], async () => {
        for (let round = 0; round < 3; round++) {
          await traffic([peer!, other!])
          await peer!.truth()
          add(set, id(peer!))
          await traffic([peer!, other!])
          truths.push(await peer!.truth())
          set.delete(key(id(peer!)))
        }
        await traffic([peer!, other!])
      })
      exactly(truths.flat(), tool)
    }))
  })

  test(`${option} makes and pins a set where there is none, and leaves it`, async () => {
    const path = freshPath()
    await withPeers([start], async peer => {
      const kernel = openKernel()
      const tool = await withTool([option, path], async () => {
        await traffic([peer!])
        await peer!.truth()
        const set = kernel.openMap(path)
        add(set, id(peer!))
        set.close()
        await traffic([peer!])
      })
      exactly(await peer!.truth(), tool)
      assert.ok(existsSync(path))
      const { close, ...left } = kernel.openMap(path)
      close()
      assert.equal([left.type, left.name, left.keySize, left.valueSize, left.maxEntries], ['hash', name, 8, valueSize, 1024])
      // Once more, with what is in the set already.
      const again = await withTool([option, path], () => traffic([peer!]))
      exactly(await peer!.truth(), again)
    })
  })
}

test('tools that are started at once with a new set share it', async () => {
  const path = join(bpffs, 'shared')
  const tools = await Promise.all(Array.from({ length: 4 }, () => startTool(['--cgroupmap', path])))
  const peer = await Peer.start()
  try {
    const set = openKernel().openMap(path)
    const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/'
    set.update(new Uint8Array(BigUint64Array.of(statSync(join(cgroups, own), { bigint: true }).ino).buffer), new Uint8Array(set.valueSize))
    set.close()
    await peer.move(5000)
    for (const tool of tools) {
      await tool.next()
      await tool.next()
      assert.ok(rowsOf(tool).some(({ pid }) => pid === peer.pid), 'one has another set')
    }
  } finally {
    await peer.stop()
    for (const tool of tools) assert.is(await tool.stop(), 0, tool.stderr)
  }
})

test('--cgroup takes what rows show, and a name that is not UTF-8', async () => {
  const odd = Buffer.concat([Buffer.from(`${group}/`), Buffer.of(0xff, 0x61)])
  mkdirSync(odd)
  try {
    for (const name of [`${group}/\ufffda`, `${group.slice(cgroups.length)}/\ufffda`, group.slice(cgroups.length)]) {
      const tool = await startTool(['-c', name])
      assert.is(await tool.stop(), 0, tool.stderr)
    }
  } finally {
    rmdirSync(odd)
  }
})

test('--cgroupmap and --mntnsmap together show what both allow', async () => {
  const starts = [
    () => inside(group, () => Peer.start('unshare', '-m')), () => inside(group, outside), () => Peer.start('unshare', '-m'), outside,
  ]
  await withPeers(starts, async (both, ...others) => {
    await withSet([cgroupId(group)], cgroupPath => withSet([mntnsId(both!), mntnsId(others[1]!)], async mntnsPath => {
      const tool = await withTool(['--cgroupmap', cgroupPath, '--mntnsmap', mntnsPath], () => traffic([both!, ...others]))
      exactly(await truthOf(both!), tool)
    }))
  })
})

test('all filters together show what all allow', async () => {
  await withPeers([() => inside(child, () => Peer.start('unshare', '-m')), outside], async (peer, other) => {
    await withSet([cgroupId(child)], cgroupPath => withSet([mntnsId(peer!)], async mntnsPath => {
      const filters = ['-4', '-p', `${peer!.pid},${other!.pid}`, '-c', group, '--cgroupmap', cgroupPath, '--mntnsmap', mntnsPath]
      const tool = await withTool(filters, () => traffic([peer!, other!]))
      exactly((await truthOf(peer!)).filter(({ family }) => family === 4), tool)
    }))
  })
})

test('a set given to the wrong one of the two options is warned about, and only then', async () => {
  await withPeers([() => Peer.start('unshare', '-m')], async peer => {
    const [namespace, cgroup] = [mntnsId(peer!), cgroupId(group)]
    for (const [option, ids, warning] of [
      ['--cgroupmap', [namespace], /^tcptop: --cgroupmap: [^\n]*--mntnsmap\n$/],
      ['--mntnsmap', [cgroup], /^tcptop: --mntnsmap: [^\n]*--cgroupmap\n$/],
      ['--cgroupmap', [namespace, cgroup], /^$/],
      ['--mntnsmap', [namespace, cgroup], /^$/],
    ] as const) {
      await withSet(ids, async path => assert.match((await withTool([option, path], async () => {})).stderr, warning))
    }
  })
})

uvu.run()
