import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Truth } from './workload.js'

const self = fileURLToPath(import.meta.url)

/** Where a peer is reached: over IPv6 that carries IPv4 (`mapped`), both ends have IPv6 sockets. */
export const hosts = { ipv4: '127.0.0.1', ipv6: '::1', mapped: '::ffff:127.0.0.1' } as const
export type Net = keyof typeof hosts

/**
 * A process of its own that accepts connections, opens some when it is told to, and knows what it moved: traffic for tests that decide step
 * by step who moves how much and when.
 */
export class Peer {
  readonly #child: ChildProcess
  readonly #answers: AsyncIterator<string>
  readonly #reader: Interface
  #port = 0

  private constructor(readonly command: readonly string[]) {
    const [program = process.execPath, ...args] = [...command, process.execPath, self]
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#reader = createInterface({ input: this.#child.stdout! })
    this.#answers = this.#reader[Symbol.asyncIterator]()
  }

  /** Starts one, at the end of a command such as `unshare -m` that becomes what it is given. The caller's cgroup is its own. */
  static async start(...command: string[]): Promise<Peer> {
    const peer = new Peer(command)
    peer.#port = Number(await peer.#answer())
    return peer
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /**
   * Connects to a peer, itself if not told otherwise, the first time; later calls with the same arguments use the same connection. Sends
   * `bytes`, and gets three times as many back. Resolves when all is read.
   */
  async move(bytes: number, net: Net = 'ipv4', peer: Peer = this): Promise<void> {
    await this.#ask({ host: hosts[net], port: peer.#port, bytes })
  }

  /** What it moved since it was asked last. */
  async truth(): Promise<readonly Truth[]> {
    return JSON.parse(await this.#ask({})) as Truth[]
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'close')
    this.#child.stdin?.end()
    await ended
  }

  #ask(command: Command): Promise<string> {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`)
    return this.#answer()
  }

  async #answer(): Promise<string> {
    const { value, done } = await this.#answers.next()
    if (done === true) throw new Error(`${this.command.join(' ')} peer has ended`)
    return value
  }
}

interface Command {
  readonly host?: string
  readonly port?: number
  readonly bytes?: number
}

/** What the process does: a line of JSON in, a line out; the end of the input ends it. */
function serve(): void {
  const ends: { socket: Socket; rx: number; tx: number }[] = []
  const clients = new Map<string, Socket>()
  const say = (line: string) => process.stdout.write(`${line}\n`)
  const add = (socket: Socket) => ends.push({ socket: socket.setNoDelay(true), rx: 0, tx: 0 })

  const server = createServer(socket => {
    add(socket)
    socket.on('data', data => socket.write(Buffer.alloc(3 * data.length)))
  })
  server.listen(0, '::', () => {
    const address = server.address()
    say(`${typeof address === 'object' ? address?.port : 0}`)
  })

  const move = async (host: string, port: number, bytes: number) => {
    const socket = clients.get(`${host} ${port}`) ?? connect({ host, port })
    if (socket.connecting) {
      clients.set(`${host} ${port}`, socket)
      await once(socket.resume(), 'connect')
      add(socket)
    }
    const wanted = socket.bytesRead + 3 * bytes
    socket.write(Buffer.alloc(bytes))
    while (socket.bytesRead < wanted) await once(socket, 'data')
    say('moved')
  }

  const truth = () => {
    const comm = readFileSync('/proc/self/comm', 'utf8').trimEnd()
    say(JSON.stringify(ends.map(end => {
      const { socket } = end
      const { localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0, bytesRead, bytesWritten } = socket
      const plain = (address: string) => address.replace('::ffff:', '')
      const row: Truth = {
        pid: process.pid, comm, family: plain(localAddress).includes(':') ? 6 : 4,
        laddr: plain(localAddress), lport: localPort, raddr: plain(remoteAddress), rport: remotePort,
        rx: bytesRead - end.rx, tx: bytesWritten - end.tx,
      }
      Object.assign(end, { rx: bytesRead, tx: bytesWritten })
      return row
    }).filter(({ rx, tx }) => rx + tx > 0)))
  }

  const lines = createInterface({ input: process.stdin })
  lines.on('line', line => {
    const { host, port = 0, bytes = 0 } = JSON.parse(line) as Command
    if (host === undefined) truth()
    else void move(host, port, bytes)
  })
  lines.on('close', () => process.exit(0))
}

if (process.argv[1] === self) serve()
