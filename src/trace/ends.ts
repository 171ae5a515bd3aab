import {
  any, block, type Btf, bytes, type Code, fieldOf, is, type Located, note, part, r1, record, type RecordValues, type RecordView, type Register, when, zero,
} from '../../bpf-asm/index.js'
import { addressText } from './text.js'

/** Addresses of 16 bytes, IPv4 mapped into IPv6; ports in network order; the family as the kernel has it. */
const fields = {
  laddr: bytes(16), raddr: bytes(16), ports: record({ local: 'be16', remote: 'be16', family: 'u16', state: 'u8', unused: 'u8' }),
} as const
/** The ends of a TCP socket, as `readEnds` writes them. */
export const endsRecord = record(fields)

const [inet6, mapped] = [10, 0xffff0000]

/** Writes the ends of the TCP socket in `socket`, one of r6 to r9. Clobbers r0 to r5. Throws BtfError when the kernel lacks one of these members. */
export function readEnds(btf: Btf, socket: Register, to: RecordView<typeof fields>): Code {
  const read = (field: Located, path: string) => fieldOf(btf, 'inet_sock', path).read(field, socket)
  const common = (name: string) => `sk.__sk_common.${name}`
  const inet = (address: Located, name: string) => [
    part(address, 0, 'u64').store(0), part(address, 8, 'u32').store(mapped), read(part(address, 12, 'u32'), common(name)),
  ]
  const isNative = any(is.ne(r1, 0).after(part(to.raddr, 0, 'u64').load(r1)), is.ne32(r1, mapped).after(part(to.raddr, 8, 'u32').load(r1)))
  return block('ends read', done => [
    zero(to.ports),
    note('the ends of the socket', read(to.ports.local, 'inet_sport')),
    read(to.ports.remote, common('skc_dport')),
    read(to.ports.family, common('skc_family')),
    read(to.ports.state, common('skc_state')),
    to.ports.family.load(r1),
    when(is.eq(r1, inet6), [
      read(to.laddr, common('skc_v6_rcv_saddr')),
      read(to.raddr, common('skc_v6_daddr')),
      note('IPv4 on an IPv6 socket is shown as IPv4', isNative.jump(done)),
    ]),
    inet(to.laddr, 'skc_rcv_saddr'),
    inet(to.raddr, 'skc_daddr'),
  ])
}

/** The ends of a connection. */
export interface Ends {
  readonly family: 4 | 6
  readonly laddr: string
  readonly lport: number
  readonly raddr: string
  readonly rport: number
  /** Its state, a number of include/net/tcp_states.h: 1 is established. */
  readonly state: number
}

/** What `readEnds` wrote. */
export function endsOf({ laddr, raddr, ports }: RecordValues<typeof fields>): Ends {
  const text = ({ buffer }: Uint8Array) => addressText(new DataView(buffer), 0)
  const remote = text(raddr)
  return { family: remote.includes(':') ? 6 : 4, laddr: text(laddr), lport: ports.local, raddr: remote, rport: ports.remote, state: ports.state }
}
