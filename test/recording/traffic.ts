import type { Row, Shown as Frame } from '../../src/frame/index.js'
import type { Run } from '../../src/recording/index.js'
import { Random } from '../kit/random.js'

export const run: Run = { host: 'web1', boot: '0b0c1d2e-1111-4222-8333-444455556666', program: '0.1.0', by: 'connection' }

const services = ['nginx', 'redis-server', 'postgres', 'sshd', 'node', 'java', 'envoy', 'prometheus', 'kubelet', 'containerd', 'systemd-resolve', 'curl']

/** What the sizes are measured with: so many connections of which nine in ten move bytes in a second, a fiftieth of them new; bytes are log-normal. */
export class Traffic {
  readonly #random: Random
  #connections: Omit<Row, 'rx' | 'tx'>[]

  constructor(connections: number, seed = 1) {
    this.#random = new Random(seed)
    this.#connections = Array.from({ length: connections }, () => this.#connection())
  }

  frame(time: Date, interval = 1): Frame {
    const random = this.#random
    this.#connections = this.#connections.map(connection => random.chance(0.02) ? this.#connection() : connection)
    const rows = this.#connections.filter(() => random.chance(0.9)).map((connection): Row => ({ ...connection, rx: this.#bytes(), tx: this.#bytes() }))
    rows.sort((one, other) => other.rx + other.tx - one.rx - one.tx)
    const sum = (field: 'rx' | 'tx') => rows.reduce((sum, row) => sum + row[field], 0)
    const load = () => (random.below(300) / 100).toFixed(2)
    return {
      time, interval: interval + random.below(1000) / 1e6, backend: 'fentry', loadavg: `${load()} ${load()} ${load()} ${random.below(9)}/${300 + random.below(99)} ${random.below(99_999)}`,
      rows, total: { rx: sum('rx'), tx: sum('tx') }, sinceStart: { rx: 0, tx: 0 }, lost: { events: 0, rx: 0, tx: 0 }, missed: 0, flows: this.#connections.length,
      cost: { cpu: random.below(9999) / 1e6, drain: random.below(9999) / 1e6, runs: null, run: null },
    }
  }

  #connection(): Omit<Row, 'rx' | 'tx'> {
    const random = this.#random
    const service = random.below(services.length)
    const isServer = random.chance(0.5)
    const ephemeral = 32_768 + random.below(28_000)
    const address = () => `10.${random.below(4)}.${random.below(256)}.${random.below(256)}`
    const port = [80, 443, 6379, 5432, 9090][random.below(5)]!
    return {
      pid: 1000 + service * 37 + random.below(8), comm: services[service]!, family: 4, laddr: '10.0.0.5', lport: isServer ? port : ephemeral,
      raddr: address(), rport: isServer ? ephemeral : port, cgroup: `/system.slice/${services[service]}.service`,
    }
  }

  /** Log-normal, with a median of some 3 KB and now and then a megabyte: hardly to be compressed. */
  #bytes(): number {
    const random = this.#random
    const [u, v] = [(1 + random.below(2 ** 30)) / 2 ** 30, random.below(2 ** 30) / 2 ** 30]
    return Math.floor(Math.exp(8 + 2 * Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v)))
  }
}

/** Frames a second, from then on. */
export function* frames(traffic: Traffic, from: Date, count: number, every = 1): Generator<Frame> {
  for (let index = 1; index <= count; index++) yield traffic.frame(new Date(from.getTime() + 1000 * every * index), every)
}
