import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type CgroupDirectory, cgroupMount, CgroupPaths, isCalled, shortCgroup } from '../../src/view/cgroup.js'

const id = '4f0a1c9be37d5a62c8f1e09d7b3a5c6e8f2d4b1a0c9e7f5d3b1a2c4e6f8091a3'
const pod = '0c1d7b2e_9f3a_4c55_8e21_7a6b5c4d3e2f'
const dashed = pod.replaceAll('_', '-')

for (const [path, short] of [
  ['/', '/'],
  // docker, by systemd and by itself, with a service inside
  [`/system.slice/docker-${id}.scope`, 'docker:4f0a1c9be37d'],
  [`/docker/${id}`, 'docker:4f0a1c9be37d'],
  [`/docker/${id}/system.slice/nginx.service`, 'docker:4f0a1c9be37d'],
  [`/user.slice/user-1000.slice/user@1000.service/user.slice/docker-${id}.scope`, 'docker:4f0a1c9be37d'],
  // containerd, under Kubernetes and not
  [`/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${pod}.slice/cri-containerd-${id}.scope`, 'containerd:4f0a1c9be37d'],
  [`/system.slice/containerd.service/kubepods-besteffort-pod${pod}.slice:cri-containerd:${id}`, 'containerd:4f0a1c9be37d'],
  [`/kubepods/burstable/pod${dashed}/${id}`, 'kubepods:4f0a1c9be37d'],
  [`/system.slice/nerdctl-${id}.scope`, 'nerdctl:4f0a1c9be37d'],
  // CRI-O
  [`/kubepods.slice/kubepods-pod${pod}.slice/crio-${id}.scope`, 'cri-o:4f0a1c9be37d'],
  [`/kubepods.slice/kubepods-pod${pod}.slice/crio-${id}.scope/container`, 'cri-o:4f0a1c9be37d'],
  [`/kubepods/besteffort/pod${dashed}/crio-${id}`, 'cri-o:4f0a1c9be37d'],
  // podman, of root and of a user; its monitor is no container
  [`/machine.slice/libpod-${id}.scope/container`, 'podman:4f0a1c9be37d'],
  [`/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${id}.scope`, 'podman:4f0a1c9be37d'],
  [`/libpod_parent/libpod-${id}`, 'podman:4f0a1c9be37d'],
  [`/machine.slice/libpod-conmon-${id}.scope`, 'libpod-conmon:4f0a1c9be37d'],
  // a node in a container
  [`/system.slice/docker-${'0'.repeat(64)}.scope/kubelet.slice/cri-containerd-${id}.scope`, 'containerd:4f0a1c9be37d'],
  // units of systemd
  ['/system.slice/ssh.service', 'ssh.service'],
  ['/system.slice/system-getty.slice/getty@tty1.service', 'getty@tty1.service'],
  ['/user.slice/user-1000.slice/session-3.scope', 'session-3.scope'],
  ['/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-org.gnome.Epiphany\\x2d1.scope', 'app-gnome-org.gnome.Epiphany-1.scope'],
  ['/init.scope', 'init.scope'],
  // nothing that is known
  ['/build/job-7', '/build/job-7'],
  ['/build/deadbeef', '/build/deadbeef'],
  [`/build/${id}0`, `/build/${id}0`],
  ['/..', '/..'],
  ['4711', '4711'],
  ['-', '-'],
] as const) {
  test(`${path} is ${short} for eyes`, () => assert.is(shortCgroup(path), short))
}

/** Paths of directories that change, and how often they were walked. */
function walked(...found: CgroupDirectory[]) {
  const count = { walks: 0 }
  const clock = { now: 0 }
  const paths = new CgroupPaths(() => {
    count.walks++
    return found
  }, () => clock.now)
  return { paths, found, count, clock, pathOf: (cgroup: string) => paths.named({ cgroup, rx: 1, tx: 2 }).cgroup }
}

test('a row has the path of its cgroup in the place of the id', () => {
  const { paths } = walked({ id: 7n, path: '/a' })
  assert.equal({ ...paths.named({ pid: 3, cgroup: '7', rx: 1, tx: 2 }) }, { pid: 3, cgroup: '/a', rx: 1, tx: 2 })
})

test('the lower half of an id finds it', () => {
  assert.is(walked({ id: 2n ** 32n * 5n + 7n, path: '/a' }).pathOf('7'), '/a')
})

test('directories are not read for rows that are not shown, have no cgroup or no process', () => {
  const { paths, pathOf, count } = walked({ id: 7n, path: '/a' })
  paths.named({ cgroup: '7', rx: 1, tx: 2 })
  assert.is(paths.named({ pid: 1, rx: 1, tx: 2 }).cgroup, undefined)
  assert.is(pathOf('0'), '-')
  assert.is(count.walks, 0)
})

test('what is known is not walked for again; what is not, once in a frame and a second', () => {
  const { paths, pathOf, found, count, clock } = walked({ id: 7n, path: '/a' })
  assert.equal([pathOf('7'), pathOf('8'), pathOf('9')], ['/a', '8', '9'])
  assert.is(count.walks, 1)
  found.push({ id: 8n, path: '/b' })
  paths.refresh()
  assert.equal([pathOf('7'), count.walks], ['/a', 1])
  assert.equal([pathOf('8'), pathOf('9'), count.walks], ['8', '9', 1])
  clock.now = 1
  assert.equal([pathOf('8'), pathOf('9'), count.walks], ['/b', '9', 2])
})

test('a path that is never found costs one scan per second, and a new one is found at once', () => {
  const { paths, pathOf, found, count, clock } = walked({ id: 7n, path: '/a' })
  for (let frame = 0; frame < 100; frame++) {
    clock.now = frame / 10
    paths.refresh()
    pathOf('8')
  }
  assert.is(count.walks, 10)
  found.push({ id: 9n, path: '/new' })
  paths.refresh()
  assert.equal([pathOf('9'), count.walks], ['/new', 11])
})

test('a cgroup is called by its path, whole or below the mount, or as rows show it', () => {
  for (const text of ['/system.slice/ssh.service', '/sys/fs/cgroup/system.slice/ssh.service', 'ssh.service']) {
    assert.ok(isCalled(text, '/system.slice/ssh.service', '/sys/fs/cgroup'), text)
  }
  assert.ok(isCalled(`docker:${id.slice(0, 12)}`, `/docker/${id}`, '/x'))
  assert.ok(isCalled('/a?', '/a\x1b', '/x'))
  assert.not.ok(isCalled('ssh', '/system.slice/ssh.service', '/sys/fs/cgroup'))
})

test('a cgroup that has gone keeps its path', () => {
  const { paths, pathOf, found } = walked({ id: 7n, path: '/a' })
  pathOf('7')
  found.pop()
  paths.refresh()
  assert.equal([pathOf('7'), pathOf('8')], ['/a', '8'])
})

test('the mount of cgroup v2 is found among others, and its blanks are read', () => {
  const others = 'proc /proc proc rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n'
  assert.is(cgroupMount(`${others}cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n`), '/sys/fs/cgroup/unified')
  assert.is(cgroupMount(`${others}none /mnt/my\\040own\\011cgroup\\134s cgroup2 rw 0 0\n`), '/mnt/my own\tcgroup\\s')
  assert.is(cgroupMount(others), undefined)
  assert.is(cgroupMount(''), undefined)
})

test.run()
