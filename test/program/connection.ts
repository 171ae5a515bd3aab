import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { interpret, MapModel, type Member, Memory, type Setting } from '../../bpf-asm/index.js'
import { Key, Value } from '../../src/layout.js'
import { fieldsOf, mapName } from '../../src/program/index.js'
import { possible } from '../fixture.js'
import { Random } from '../random.js'

// The programs at work on a connection without a kernel: its counters move as tcp_sendmsg, tcp_ack and tcp_recvmsg move them.

/** A structure of the kernel in the memory of programs; counters in it wrap. */
class Struct {
  readonly #memory: Memory
  readonly address: bigint

  constructor(memory: Memory, name: string) {
    this.#memory = memory
    this.address = memory.place(name, new Uint8Array(8192))
  }

  get({ offset, size }: Member): bigint {
    return this.#memory.read(this.address + BigInt(offset), size)
  }

  set({ offset, size }: Member, value: bigint | number): void {
    this.#memory.write(this.address + BigInt(offset), size, BigInt(value))
  }

  add(member: Member, bytes: number): void {
    this.set(member, this.get(member) + BigInt(bytes))
  }
}

const [inet, tcp, established, synSent] = [2, 6, 1, 2]

/** A connection that is opened, and the processes that use it. */
function connection({ btf, plan }: (typeof possible)[number], random: Random) {
  const field = fieldsOf(btf)
  const memory = new Memory()
  const maps = plan.maps.map(shape => new MapModel(shape))
  const sock = new Struct(memory, 'struct tcp_sock')
  const [css, cgroup, node] = ['struct css_set', 'struct cgroup', 'struct kernfs_node'].map(name => new Struct(memory, name)) as [Struct, Struct, Struct]
  css.set(field.defaultCgroup!, cgroup.address)
  cgroup.set(field.cgroupNode!, node.address)
  const tasks = [100, 200, 300].map(pid => {
    const task = new Struct(memory, `struct task_struct ${pid}`)
    task.set(field.tgid, pid)
    task.set(field.leader, task.address)
    task.set(field.cgroups!, css.address)
    return { pid, task }
  })
  let current = tasks[0]!
  const helpers: Setting['helpers'] = {
    skc_to_tcp_sock: (_, socket: bigint) => socket,
    get_socket_cookie: (_, _socket: bigint) => sock.get(field.cookie),
    get_current_task_btf: () => current.task.address,
    sk_storage_get: (_, _map: bigint, _socket: bigint, _value: bigint, _flags: bigint) => 0n,
  }
  const kfuncs = { bpf_preempt_disable: () => 0n, bpf_preempt_enable: () => 0n }
  const happen = (name: string, ...args: (bigint | number)[]) => {
    const { assembly } = plan.programs.find(program => program.name === name)!
    interpret(assembly, { memory, maps, helpers, kfuncs, context: new Uint8Array(BigUint64Array.from(args, BigInt).buffer) })
  }

  sock.set(field.family, inet)
  sock.set(field.protocol, tcp)
  sock.set(field.cookie, 7)
  sock.set(field.net, new Struct(memory, 'struct net').address)
  /** Soon to begin anew. */
  const late = () => 2 ** 32 - random.below(2 ** 22)
  const [ours, theirs] = [late(), late()]
  for (const member of [field.sndUna, field.writeSeq]) sock.set(member, ours)
  for (const member of [field.rcvNxt, field.copiedSeq]) sock.set(member, theirs)
  sock.set(field.state, synSent)
  // The SYN, and the peer's acknowledgement of it.
  sock.add(field.writeSeq, 1)
  sock.add(field.sndUna, 1)
  sock.add(field.bytesAcked, 1)
  happen('tcptop_state', sock.address, synSent, established)
  sock.set(field.state, established)
  return {
    pids: tasks.map(({ pid }) => pid),
    send: (pid: number, bytes: number) => {
      current = tasks.find(task => task.pid === pid)!
      sock.add(field.writeSeq, bytes)
      happen('tcptop_tx', sock.address, bytes, 0)
    },
    acknowledge: (share: number) => {
      const flying = Number(BigInt.asUintN(32, sock.get(field.writeSeq) - sock.get(field.sndUna)))
      const bytes = Math.floor(flying * share)
      sock.add(field.sndUna, bytes)
      sock.add(field.bytesAcked, bytes)
    },
    receive: (pid: number, bytes: number) => {
      current = tasks.find(task => task.pid === pid)!
      const waiting = random.below(2 ** 22)
      sock.add(field.rcvNxt, bytes + waiting)
      sock.add(field.bytesReceived, bytes + waiting)
      sock.add(field.copiedSeq, bytes)
      sock.set(field.owned, 1)
      happen('tcptop_rx', sock.address)
      // What is left in the queue is taken by nobody else.
      sock.add(field.rcvNxt, -waiting)
      sock.add(field.bytesReceived, -waiting)
    },
    /** Bytes by process, as the flow map has them. */
    counted: () => {
      const flows = [...maps.find(({ shape }) => shape.name === mapName.flows)!.entries()].map(([key, value]) => {
        const [of, at] = [new DataView(key.buffer), new DataView(value.buffer)]
        const pid = of.getUint32(Key.pid, true) || at.getUint32(Value.pid, true)
        return [pid, [at.getBigUint64(Value.tx, true), at.getBigUint64(Value.rx, true)]] as const
      })
      return Object.fromEntries(flows)
    },
  }
}

const tracepoint = possible.filter(({ backend, plan }) => backend.name === 'tracepoint' && plan.programs.some(({ name }) => name === 'tcptop_tx'))

for (const one of tracepoint) {
  test(`${one.title}: every byte is charged to the process that moved it, also where sequence numbers begin anew`, () => {
    const random = new Random()
    random.repeat(30, () => {
      const { pids, send, receive, acknowledge, counted } = connection(one, random)
      const expected: Record<number, bigint[]> = {}
      for (let turn = 0; turn < 20; turn++) {
        const pid = random.pick(pids)
        const bytes = 1 + random.below(random.pick([10, 2 ** 16, 2 ** 26]))
        const of = expected[pid] ??= [0n, 0n]
        if (random.chance(0.5)) {
          send(pid, bytes)
          of[0]! += BigInt(bytes)
        } else {
          receive(pid, bytes)
          of[1]! += BigInt(bytes)
        }
        acknowledge(random.pick([0, 0.5, 1]))
      }
      assert.equal(counted(), expected)
    })
  })
}

test.run()
