import { type Btf, type Code, jne, jne32, label, load, note, r1, r10, readKernel, type Register, store } from '../../bpf-asm/index.js'
import { addressText } from './text.js'

/** Where the parts of the ends are, from their start: addresses of 16 bytes, IPv4 mapped into IPv6, and ports in network order. */
const part = { laddr: 0, raddr: 16, lport: 32, rport: 34, family: 36 } as const
/** Bytes that `readEnds` writes. */
export const endsSize = 40

const [inet6, mapped] = [10, 0xffff0000]

/**
 * Writes the ends of a TCP socket, which is in one of r6 to r9, to `at` of the stack, for `endsOf`. Clobbers r0 to r5; once in a program.
 * Throws BtfError when the BTF has no such fields.
 */
export function readEnds(btf: Btf, socket: Register, at: number): Code {
  const read = (to: number, size: number, path: string) => readKernel(at + to, size, socket, btf.member('inet_sock', path).offset)
  const common = (name: string) => `sk.__sk_common.${name}`
  const inet = (to: number, name: string) => [
    store('u64', r10, at + to, 0), store('u32', r10, at + to + 8, mapped), read(to + 12, 4, common(name)),
  ]
  return [
    store('u64', r10, at + part.lport, 0),
    note('the ends of the socket', read(part.lport, 2, 'inet_sport'), read(part.rport, 2, common('skc_dport'))),
    read(part.family, 2, common('skc_family')),
    load(r1, 'u16', r10, at + part.family),
    jne(r1, inet6, 'ends_inet'),
    read(part.laddr, 16, common('skc_v6_rcv_saddr')),
    read(part.raddr, 16, common('skc_v6_daddr')),
    note('IPv4 by an IPv6 socket is IPv4', load(r1, 'u64', r10, at + part.raddr), jne(r1, 0, 'ends_read')),
    load(r1, 'u32', r10, at + part.raddr + 8),
    jne32(r1, mapped, 'ends_read'),
    label('ends_inet'),
    inet(part.laddr, 'skc_rcv_saddr'),
    inet(part.raddr, 'skc_daddr'),
    label('ends_read'),
  ]
}

/** The ends of a connection. */
export interface Ends {
  readonly family: 4 | 6
  readonly laddr: string
  readonly lport: number
  readonly raddr: string
  readonly rport: number
}

/** What `readEnds` wrote, at `offset` of an event. */
export function endsOf(view: DataView, offset: number): Ends {
  const address = (at: number) => addressText(view, offset + at)
  const port = (at: number) => view.getUint16(offset + at)
  const raddr = address(part.raddr)
  return { family: raddr.includes(':') ? 6 : 4, laddr: address(part.laddr), lport: port(part.lport), raddr, rport: port(part.rport) }
}
