import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { interpret, listing, MapModel, type Member, Memory } from '../../bpf-asm/index.js'
import type { Plan } from '../../src/backend/plan.js'
import { Flag, Key, Stat, Value } from '../../src/layout.js'
import { fieldsOf, mapName } from '../../src/program/index.js'
import { firstArgument } from '../../src/trace/index.js'
import { plansOf, type Possible, possible, without } from '../kit/fixture.js'
import { Random } from '../kit/random.js'

const [inet, tcp, mptcp] = [2, 6, 262]
const state = { established: 1, synSent: 2, finWait1: 4, close: 7, closeWait: 8, lastAck: 9 } as const
const pids = [100, 200] as const
const zero = [0, 0] as const

/** The programs of a plan beside one MPTCP socket, whose counters move as mptcp_sendmsg, __mptcp_move_skb and mptcp_recvmsg move them. */
class MptcpWorld {
  readonly #memory = new Memory()
  readonly #maps: readonly MapModel[]
  readonly #field
  readonly #sock: bigint
  readonly #task: bigint
  readonly #packets: bigint[] = []
  /** What waits in the queues, and how much of its first packet is no data or was read. */
  #waiting: number[] = []
  #taken = 0
  #time = 1n
  /** Sent and received, by local port and process. */
  readonly moved: Record<string, readonly [tx: number, rx: number]> = {}

  constructor(private readonly one: Possible, private readonly random: Random, private readonly plan = one.plan, full = false) {
    this.#field = fieldsOf(one.btf)
    this.#maps = plan.maps.map(shape => new MapModel(full && shape.name === mapName.flows ? { ...shape, maxEntries: 0 } : shape))
    const place = (name: string) => this.#memory.place(name, new Uint8Array(8192))
    this.#sock = place('struct mptcp_sock')
    this.#task = place('struct task_struct')
    for (let packet = 0; packet < 8; packet++) this.#packets.push(place(`struct sk_buff ${packet}`))
    const [css, cgroup] = [place('struct css_set'), place('struct cgroup')]
    this.#set(this.#field.cgroups!, css, this.#task)
    this.#set(this.#field.defaultCgroup!, cgroup, css)
    this.#set(this.#field.cgroupNode!, place('struct kernfs_node'), cgroup)
    this.#set(this.#field.net, place('struct net'))
    this.#set(this.#field.family, inet)
    this.#set(this.#field.protocol, mptcp)
    this.#set(this.#field.leader, this.#task, this.#task)
    this.#state(state.close)
  }

  get #mptcp() {
    return this.#field.mptcp!
  }

  #set({ offset, size }: Member, value: bigint | number, base = this.#sock): void {
    this.#memory.write(base + BigInt(offset), size, BigInt.asUintN(8 * size, BigInt(value)))
  }

  #get({ offset, size }: Member): bigint {
    return this.#memory.read(this.#sock + BigInt(offset), size)
  }

  #add(member: Member, more: number): void {
    this.#set(member, this.#get(member) + BigInt(more))
  }

  #happen(name: string, context: Uint8Array): void {
    const { assembly } = this.plan.programs.find(program => program.name === name)!
    interpret(assembly, {
      memory: this.#memory,
      maps: this.#maps,
      context,
      helpers: {
        get_current_task: () => this.#task,
        get_current_task_btf: () => this.#task,
        get_current_pid_tgid: () => this.#memory.read(this.#task + BigInt(this.#field.tgid.offset), 4) << 32n,
        get_smp_processor_id: () => 0n,
        ktime_get_ns: () => this.#time++,
        probe_read_kernel: (_, to: bigint, size: bigint, from: bigint) => {
          this.#memory.bytes(to, Number(size)).set(this.#memory.bytes(from, Number(size)))
          return 0n
        },
      },
      kfuncs: { bpf_rdonly_cast: (_, address: bigint, _type: bigint) => address },
    })
  }

  #state(now: number): void {
    this.#happen('tcptop_state', new Uint8Array(BigUint64Array.of(this.#sock, this.#get(this.#field.state), BigInt(now)).buffer))
    this.#set(this.#field.state, now)
  }

  /** A process lets go of the socket. */
  released(pid: number): void {
    this.#set(this.#field.tgid, pid, this.#task)
    const registers = new Uint8Array(256)
    const at = this.plan.programs.find(({ name }) => name === 'tcptop_mptcp')!.type === 'kprobe' ? firstArgument(this.one.arch)! : 0
    new DataView(registers.buffer).setBigUint64(at, this.#sock, true)
    this.#happen('tcptop_mptcp', registers)
  }

  /** Another connection at this address, opened or accepted: sequence numbers may begin anew soon. */
  connect(port: number, opens: boolean): void {
    const { token, writeSeq, consumed, unread } = this.#mptcp
    this.#set(this.#field.flags, 0)
    this.#set(this.#field.dport, 0)
    this.#set(token, this.random.below(2 ** 32))
    this.#set(consumed, 0)
    if (opens) this.#state(state.synSent)
    this.#set(writeSeq, -this.random.below(2 ** 20))
    if (unread !== undefined) this.#set(unread.ackSeq, -this.random.below(2 ** 20))
    this.#waiting = []
    this.#queue()
    if (opens) this.#state(state.established)
    else this.#set(this.#field.state, state.established)
    this.#set(this.#field.dport, 80)
    this.#set(this.#field.num, port)
    // An accepted one passes here before any process moves bytes.
    if (!opens) this.released(pids[0])
  }

  /** The queues as they are: two where there are two. */
  #queue(): void {
    const { unread } = this.#mptcp
    if (unread === undefined) return
    const end = this.#get(unread.ackSeq) - BigInt(this.#finArrived ? 1 : 0)
    const split = unread.queues.length > 1 ? this.random.below(this.#waiting.length + 1) : 0
    const parts = unread.queues.length > 1 ? [this.#waiting.slice(0, split), this.#waiting.slice(split)] : [this.#waiting]
    let at = end - BigInt(this.#waiting.reduce((sum, bytes) => sum + bytes, 0))
    for (const [index, { length, first }] of unread.queues.entries()) {
      this.#set(length, parts[index]!.length)
      for (const [place, bytes] of parts[index]!.entries()) {
        const packet = this.#packets[4 * index + Math.min(place, 3)]!
        at += BigInt(bytes)
        if (place > 0) continue
        this.#set(first, packet)
        this.#set(unread.length, bytes + this.#taken, packet)
        this.#set(unread.taken, this.#taken, packet)
        this.#set(unread.end, at, packet)
      }
    }
  }

  #move(pid: number, tx: number, rx: number): void {
    const name = `${this.#get(this.#field.num)} ${pid}`
    const [sent, received] = this.moved[name] ?? zero
    this.moved[name] = [sent + tx, received + rx]
    this.released(pid)
  }

  send(pid: number, bytes: number): void {
    this.#add(this.#mptcp.writeSeq, bytes)
    this.#move(pid, bytes, 0)
  }

  arrive(bytes: number): void {
    const { unread } = this.#mptcp
    if (unread !== undefined) this.#add(unread.ackSeq, bytes)
    if (this.#waiting.length < 3) this.#waiting.push(bytes)
    else this.#waiting[2]! += bytes
    this.#queue()
  }

  receive(pid: number): void {
    const there = this.#waiting.reduce((sum, bytes) => sum + bytes, 0)
    const bytes = this.random.below(there + 1)
    let left = bytes
    this.#taken = this.random.below(100)
    while (left > 0 && left >= this.#waiting[0]!) left -= this.#waiting.shift()!
    if (left > 0) this.#waiting[0]! -= left
    if (this.#mptcp.unread === undefined) this.#add(this.#mptcp.consumed, bytes)
    this.#queue()
    this.#move(pid, 0, bytes)
  }

  #finArrived = false

  /** The peer ends its direction. */
  finArrives(): void {
    const { unread } = this.#mptcp
    if (unread !== undefined) {
      this.#set(unread.finSeq, this.#get(unread.ackSeq))
      this.#add(unread.ackSeq, 1)
      this.#finArrived = true
    }
    this.#state(state.closeWait)
  }

  /** We end ours: nobody sends any more. */
  shutdown(pid: number): void {
    this.#state(Number(this.#get(this.#field.state)) === state.closeWait ? state.lastAck : state.finWait1)
    this.#add(this.#mptcp.writeSeq, 1)
    this.released(pid)
  }

  /** Both directions have ended; what waits may still be read. */
  ended(): void {
    this.#state(state.close)
  }

  /** Nobody has it any more, and what was not read is dropped; when the program is left out, unseen. */
  close(pid: number, seen: boolean): void {
    this.#finArrived = false
    this.#set(this.#field.flags, 1)
    this.#set(this.#field.state, state.close)
    this.#waiting = []
    this.#queue()
    if (seen) this.released(pid)
  }

  /** A subflow of it, or else plain TCP, which a process lets go of: whether it got an entry. */
  entersTcp(subflow: boolean): boolean {
    const sock = this.#memory.place(`struct tcp_sock ${subflow}`, new Uint8Array(8192))
    const { family, protocol, state: at, dport, net, subflow: bit } = this.#field
    for (const [member, value] of [[family, inet], [protocol, tcp], [at, state.established], [dport, 80], [net, this.#get(net)]] as const) {
      this.#set(member, value, sock)
    }
    if (subflow) this.#set({ offset: bit!.offset, size: bit!.size }, -1, sock)
    const before = this.#map(mapName.flows).size
    const registers = new Uint8Array(256)
    const release = this.plan.programs.find(({ name }) => name === 'tcptop_release')!
    new DataView(registers.buffer).setBigUint64(release.type === 'kprobe' ? firstArgument(this.one.arch)! : 0, sock, true)
    this.#happen('tcptop_release', registers)
    return this.#map(mapName.flows).size > before
  }

  counted(): Record<string, readonly [tx: number, rx: number]> {
    const sums: Record<string, readonly [number, number]> = {}
    for (const [key, value] of this.#map(mapName.flows).entries()) {
      const [of, at] = [new DataView(key.buffer), new DataView(value.buffer)]
      const [tx, rx] = [Number(at.getBigUint64(Value.tx, true)), Number(at.getBigUint64(Value.rx, true))]
      if (tx + rx > 0) sums[`${at.getUint16(Value.lport, false)} ${of.getUint32(Key.pid, true) || at.getUint32(Value.pid, true)}`] = [tx, rx]
    }
    return sums
  }

  /** Entries whose socket is not known to be gone, but for shares, and sockets that are kept in mind. */
  kept(): { readonly flows: number; readonly sockets: number; readonly lost: readonly [tx: number, rx: number] } {
    const flows = [...this.#map(mapName.flows).entries()].filter(([key, value]) =>
      new DataView(key.buffer).getUint32(Key.pid, true) === 0 && new DataView(value.buffer).getUint32(Value.flags, true) !== Flag.gone)
    const [[, stats]] = [...this.#map(mapName.stats).entries()] as [[Uint8Array, Uint8Array]]
    const stat = new DataView(stats.buffer)
    const lost = [Number(stat.getBigUint64(Stat.lostTx, true)), Number(stat.getBigUint64(Stat.lostRx, true))] as const
    return { flows: flows.length, sockets: this.#map(mapName.mptcpSockets).size, lost }
  }

  #map(name: string): MapModel {
    return this.#maps.find(({ shape }) => shape.name === name)!
  }
}

const counting = possible.filter(({ plan }) => plan.programs.some(({ name }) => name === 'tcptop_mptcp'))

test('there are kernels that count what was received, and kernels that do not', () => {
  for (const has of [true, false]) assert.ok(counting.some(({ btf }) => (fieldsOf(btf).mptcp!.unread === undefined) === has))
})

/** Something that a process does with a connection, or its peer, until both directions have ended. */
function use(world: MptcpWorld, random: Random): void {
  let [sends, receives] = [true, true]
  for (let turn = 0; turn < 15; turn++) {
    const pid = random.pick(pids)
    const chance = random.below(100)
    if (chance < 30 && sends) world.send(pid, 1 + random.below(2 ** 20))
    else if (chance < 55 && receives) world.arrive(1 + random.below(2 ** 20))
    else if (chance < 85) world.receive(pid)
    else if (chance < 90) world.released(pid)
    else if (chance < 95 && receives && sends) world.finArrives(), (receives = false)
    else if (chance >= 95 && sends) world.shutdown(pid), (sends = false)
  }
  if (sends || receives) return
  world.ended()
  world.receive(pids[0])
}

/** What is to be counted, of these processes. */
function movedBy(world: MptcpWorld, wanted: readonly number[]): MptcpWorld['moved'] {
  return Object.fromEntries(Object.entries(world.moved).filter(([name, [tx, rx]]) => tx + rx > 0 && wanted.includes(Number(name.split(' ')[1]))))
}

for (const one of counting) {
  test(`${one.title}: every byte of an MPTCP socket is charged to the process that moved it, and nothing is left of one that is gone`, () => {
    const random = new Random()
    random.repeat(10, () => {
      const world = new MptcpWorld(one, random)
      for (let port = 1; port <= 4; port++) {
        world.connect(port, random.chance(0.5))
        use(world, random)
        const seen = random.chance(0.7)
        world.close(random.pick(pids), seen)
        assert.equal(world.kept(), { flows: seen ? 0 : 1, sockets: seen ? 0 : 1, lost: zero })
        if (!seen) world.connect(port + 10, random.chance(0.5)), world.close(pids[0], true)
        assert.equal(world.kept(), { flows: 0, sockets: 0, lost: zero })
      }
      assert.equal(world.counted(), movedBy(world, pids))
    })
  })

  test(`${one.title}: with a filter an MPTCP socket takes space when a process that is wanted uses it, and only its bytes count`, () => {
    const random = new Random()
    const plan = one.planWith({ pids: [100] })
    random.repeat(10, () => {
      const world = new MptcpWorld(one, random, plan)
      world.connect(1, true)
      world.send(200, 1000)
      assert.equal(world.kept(), { flows: 0, sockets: 1, lost: zero })
      use(world, random)
      world.close(random.pick(pids), true)
      assert.equal(world.kept(), { flows: 0, sockets: 0, lost: zero })
      assert.equal(world.counted(), movedBy(world, [100]))
    })
  })

  test(`${one.title}: what the map has no space for is lost, every byte`, () => {
    const random = new Random()
    random.repeat(10, () => {
      const world = new MptcpWorld(one, random, one.plan, true)
      world.connect(1, true)
      use(world, random)
      world.close(random.pick(pids), true)
      const [tx, rx] = Object.values(world.moved).reduce(([sent, received], [tx, rx]) => [sent + tx, received + rx], zero)
      assert.equal(world.kept(), { flows: 0, sockets: 0, lost: [tx, rx] })
    })
  })

  if (!one.plan.programs.some(({ name }) => name === 'tcptop_release')) continue

  test(`${one.title}: a TCP socket that is known takes the same instructions with MPTCP and without`, () => {
    const plans = plansOf(without(one, 'mptcp_release_cb'), one.backend) as readonly Plan[]
    const known = ({ programs }: Plan) => {
      const text = listing(programs.find(({ name }) => name === 'tcptop_release')!.assembly).replace(/^ *\d+: |pc[+-]\d+ /gm, '')
      return text.slice(0, text.search(/^unknown:$/m))
    }
    const bare = plans.find(({ variant }) => variant === one.plan.variant)!
    assert.ok(known(bare).includes('found:'))
    assert.is(known(one.plan), known(bare))
  })

  test(`${one.title}: its subflows are not counted`, () => {
    assert.not.ok(new MptcpWorld(one, new Random()).entersTcp(true))
    assert.ok(new MptcpWorld(one, new Random()).entersTcp(false))
  })
}

test.run()
