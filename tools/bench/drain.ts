/**
 * What it costs to read, subtract, group, select 20 rows and print, of so many flows that each moved something, by CPU time of this process.
 * The flows are in a hash of the kernel as the programs make it, filled from here; each drain finds all counters changed.
 *
 *   node --expose-gc dist/tools/bench/drain.js FLOWS
 */
import { type FlowMap, loadAggregate } from '../../src/frame/aggregate.js'
import { Key, Value } from '../../src/layout.js'
import { groupings } from '../../src/view/grouping.js'
import { table } from '../../src/view/table.js'
import { openKernel } from '../../syscall/index.js'

/** Of a drain and the frame after it. */
export interface Drain {
  readonly flows: number
  /** Milliseconds of CPU, the median of several frames: all, and of it in the kernel's walk, WASM with reading what it picks, and printing. */
  readonly cpu: number
  readonly walk: number
  readonly wasm: number
  readonly print: number
  /** Of this process: megabytes at most, and of WASM. */
  readonly peak: number
  readonly memory: number
}

const flows = Number(process.argv[2] ?? 1000)
const frames = flows > 200_000 ? 3 : 7
const grouping = groupings[0]!
const kernel = openKernel()
const map = kernel.createMap({ name: 'flows', type: 'hash', keySize: Key.size, valueSize: Value.size, maxEntries: flows })
const aggregate = await loadAggregate(grouping.mask())

const value = new Uint8Array(Value.size)
const view = new DataView(value.buffer)
value.set([0xff, 0xff, 127, 0, 0, 1], Value.laddr + 10)
value.set([0xff, 0xff, 10], Value.raddr + 10)
value.set(new TextEncoder().encode('bench'), Value.comm)
view.setUint16(Value.family, 4, true)
/** Every flow has a connection of its own, and moved `bytes` so far. */
function fill(bytes: number): void {
  const key = new Uint8Array(Key.size)
  const keyView = new DataView(key.buffer)
  for (let index = 1; index <= flows; index++) {
    keyView.setBigUint64(Key.cookie, BigInt(index), true)
    view.setBigUint64(Value.tx, BigInt(bytes + index % 1000 * (bytes > 0 ? 1 : 0)), true)
    view.setBigUint64(Value.rx, BigInt(bytes), true)
    view.setUint32(Value.pid, 1000 + index % 500, true)
    view.setUint16(Value.lport, index & 0xffff)
    view.setUint32(Value.raddr + 12, index, true)
    map.update(key, value)
  }
}

const cpuNow = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
let walked = 0
/** The map, with the time that its walk takes. */
const source: FlowMap = {
  batch: () => {
    const batch = map.batch()
    return {
      next: (keys, values) => {
        const before = cpuNow()
        const count = batch.next(keys, values)
        walked += cpuNow() - before
        return count
      },
      get done() {
        return batch.done
      },
    }
  },
  deleteBatch: map.deleteBatch,
}

const parts: { cpu: number; walk: number; wasm: number; print: number }[] = []
for (let frame = 0; frame <= frames; frame++) {
  fill(1000 * frame)
  globalThis.gc?.()
  walked = 0
  const start = cpuNow()
  aggregate.drain(source)
  const sums = aggregate.next()
  const { byFamily, decode: read } = grouping
  const rows = aggregate.pick({ mask: grouping.mask(), sort: grouping.sorts.get('all')!, limit: 20, byFamily, read })
  const aggregated = cpuNow()
  const text = table.frame({
    time: new Date(), interval: 1, backend: 'bench', loadavg: null, rows, ...sums, flows, lost: { events: 0, rx: 0, tx: 0 }, missed: 0,
    cost: { cpu: 0, drain: 0, runs: null, run: null },
  }, { clear: false, summary: false, grouping })
  const end = cpuNow()
  if (frame > 0 && text.split('\n').length < 20) throw new Error(`too few rows:\n${text}`)
  // The first is what there was before.
  if (frame > 0) parts.push({ cpu: end - start, walk: walked, wasm: aggregated - start - walked, print: end - aggregated })
}
const median = (of: (part: typeof parts[number]) => number) => parts.map(of).sort((one, other) => one - other)[parts.length >> 1]!
console.log(JSON.stringify({
  flows, cpu: median(({ cpu }) => cpu), walk: median(({ walk }) => walk), wasm: median(({ wasm }) => wasm), print: median(({ print }) => print),
  peak: process.resourceUsage().maxRSS / 1024, memory: aggregate.bytes / 2 ** 20,
} satisfies Drain))
map.close()
