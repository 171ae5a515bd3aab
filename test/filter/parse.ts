import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { aspectOf, FilterError, parse, print, terms } from '../../src/filter/index.js'
import { UsageError } from '../../src/usage-error.js'

const portOf = (name: string) => new Map([['https', 443], ['ssh', 22], ['http-alt', 8080]]).get(name)
const read = (text: string, screen = false) => parse(text, { portOf, screen })

/** The canonical text says how a filter was understood. */
const understood: readonly (readonly [text: string, canonical: string])[] = [
  // The and the research's examples.
  ['dport = :443 and not dst 10.0.0.0/8', 'dport = 443 and not dst = 10.0.0.0/8'],
  ['port 443', 'port = 443'],
  ['dport = 80,443,8000-8080', 'dport = 80,443,8000-8080'],
  ['sport = :5432 or sport = :6432', 'sport = 5432 or sport = 6432'],
  ['comm = nginx and not loopback', 'comm = nginx and not loopback'],
  ['cgroup = /system.slice/docker-4f0a.scope and dst != 10/8', 'cgroup = /system.slice/docker-4f0a.scope and dst != 10.0.0.0/8'],
  ['state established', 'state = established'],
  // Operators and what ss(8) calls them.
  ['sport == 1', 'sport = 1'],
  ['sport eq 1', 'sport = 1'],
  ['sport ne 1', 'sport != 1'],
  ['sport neq 1', 'sport != 1'],
  ['sport gt 1', 'sport > 1'],
  ['sport lt 1', 'sport < 1'],
  ['sport ge 1', 'sport >= 1'],
  ['sport geq :1024', 'sport >= 1024'],
  ['sport le 1', 'sport <= 1'],
  ['sport leq 1', 'sport <= 1'],
  ['comm !~ nginx*', 'comm !~ nginx*'],
  // Joints.
  ['accepted && loopback', 'accepted and loopback'],
  ['accepted & loopback', 'accepted and loopback'],
  ['accepted loopback', 'accepted and loopback'],
  ['accepted || loopback', 'accepted or loopback'],
  ['accepted | loopback', 'accepted or loopback'],
  ['!accepted', 'not accepted'],
  ['! ! accepted', 'not not accepted'],
  ['not accepted and loopback', 'not accepted and loopback'],
  ['not (accepted and loopback)', 'not (accepted and loopback)'],
  ['(accepted or loopback) and (uid 0 or uid 1)', '(accepted or loopback) and (uid = 0 or uid = 1)'],
  ['((accepted))', 'accepted'],
  ['ACCEPTED AND NOT Loopback', 'accepted and not loopback'],
  ['accepted\n  and loopback # only these\n# and no others', 'accepted and loopback'],
  // Blanks are optional.
  ['(dport=:443)', 'dport = 443'],
  ['sport=443', 'sport = 443'],
  ['sport!=443&&dport>=1&dport<=2', 'sport != 443 and dport >= 1 and dport <= 2'],
  ['(accepted)or(loopback)', 'accepted or loopback'],
  ['!(accepted)!loopback', 'not accepted and not loopback'],
  ['dport 80 , 443', 'dport = 80,443'],
  ['comm~nginx*', 'comm ~ nginx*'],
  // Ports.
  ['dport :https', 'dport = 443'],
  ['dport https,ssh', 'dport = 443,22'],
  ['dport http-alt', 'dport = 8080'],
  ['dport :8000-8080', 'dport = 8000-8080'],
  ['dport = :*', 'tcp'],
  ['dport != *', 'not tcp'],
  ['portrange 8000-8080', 'port = 8000-8080'],
  // Addresses.
  ['src 127.0.0.1', 'src = 127.0.0.1'],
  ['dst != 10.0.0.1', 'dst != 10.0.0.1'],
  ['dst 10/8', 'dst = 10.0.0.0/8'],
  ['dst 10.1/16', 'dst = 10.1.0.0/16'],
  ['dst 10.1.2.3/8', 'dst = 10.0.0.0/8'],
  ['dst 0.0.0.0/0', 'dst = 0.0.0.0/0'],
  ['net 10', 'host = 10.0.0.0/8'],
  ['net 10.1', 'host = 10.1.0.0/16'],
  ['net 10.1.2.3', 'host = 10.1.2.3'],
  ['net 10.1.0.0/16', 'host = 10.1.0.0/16'],
  ['host = 10.0.0.1,::1', 'host = 10.0.0.1,::1'],
  ['dst ::1', 'dst = ::1'],
  ['dst [::1]', 'dst = ::1'],
  ['dst 2001:DB8:0:0::1', 'dst = 2001:db8::1'],
  ['dst fe80::/10', 'dst = fe80::/10'],
  ['dst [fe80::]/10', 'dst = fe80::/10'],
  ['dst [fe80::/10]', 'dst = fe80::/10'],
  ['dst ::ffff:10.0.0.1', 'dst = 10.0.0.1'],
  ['dst [::ffff:a00:1]', 'dst = 10.0.0.1'],
  ['dst ::ffff:10.0.0.0/104', 'dst = 10.0.0.0/8'],
  ['dst ::/0', 'dst = ::/0'],
  ['dst *', 'tcp'],
  ['dst *:*', 'tcp'],
  // Ports behind addresses are of the same end.
  ['dst :443', 'dport = 443'],
  ['dst *:443', 'dport = 443'],
  ['dst 10.0.0.1:443', 'dst = 10.0.0.1 and dport = 443'],
  ['dst 10.0.0.1:*', 'dst = 10.0.0.1'],
  ['dst 10/8:80-90', 'dst = 10.0.0.0/8 and dport = 80-90'],
  ['src [::1]:https', 'src = ::1 and sport = 443'],
  ['src [fe80::/10]:22', 'src = fe80::/10 and sport = 22'],
  ['src fe80::/10:22', 'src = fe80::/10 and sport = 22'],
  ['dst ::1:443', 'dst = ::1:443'],
  ['dst != 10.0.0.1:443', 'not (dst = 10.0.0.1 and dport = 443)'],
  ['dst 10.0.0.1:443,10.0.0.2', 'dst = 10.0.0.2 or (dst = 10.0.0.1 and dport = 443)'],
  ['host 10.0.0.1:443', '(src = 10.0.0.1 and sport = 443) or (dst = 10.0.0.1 and dport = 443)'],
  ['host :443', 'sport = 443 or dport = 443'],
  // Words of pcap-filter(7).
  ['src host 10.0.0.1', 'src = 10.0.0.1'],
  ['dst net 10.1', 'dst = 10.1.0.0/16'],
  ['src port 443', 'sport = 443'],
  ['dst portrange 1-2', 'dport = 1-2'],
  ['tcp dst port https', 'tcp and dport = 443'],
  ['ip', 'family = 4'],
  ['ip6 and port 1', 'family = 6 and port = 1'],
  // Numbers, words for them, names.
  ['pid 1,2-4', 'pid = 1,2-4'],
  ['uid != 0', 'uid != 0'],
  ['netns = net:[4026531840]', 'netns = 4026531840'],
  ['(dport = :443)', 'dport = 443'],
  ['mntns mnt:[5]', 'mntns = 5'],
  ['family 4', 'family = 4'],
  ['family inet6', 'family = 6'],
  ['accepted', 'accepted'],
  ['origin = accepted,opened', 'origin = accepted,opened'],
  ['origin != opened', 'origin != opened'],
  ['comm nginx,redis-server', 'comm = nginx,redis-server'],
  [`comm = 'tmux: server'`, `comm = 'tmux: server'`],
  [`comm = "it's"`, `comm = 'it''s'`],
  [`comm = it's`, `comm = 'it''s'`],
  [`comm = 'say "a"'`, `comm = 'say "a"'`],
  [`comm = "say ""a"""`, `comm = 'say "a"'`],
  [`comm = 'and','Or'`, `comm = 'and','Or'`],
  [`comm = eq,port,state`, 'comm = eq,port,state'],
  [`comm = 'nginx*'`, `comm = 'nginx*'`],
  [`comm = '(sd-pam)','#1'`, `comm = '(sd-pam)','#1'`],
  ['comm ~ [!a-z]*', `comm ~ '[!a-z]*'`],
  ['cgroup /a/b/', 'cgroup = /a/b'],
  ['cgroup = /', 'cgroup = /'],
  ['cgroup nginx.service', 'cgroup = nginx.service'],
  ['cgroup = /dev-disk\\x2dlabel.swap', `cgroup = '/dev-disk\\x2dlabel.swap'`],
  // States.
  ['state SYN_SENT,estab,listen', 'state = syn-sent,established,listening'],
  ['state FIN-WAIT1,fin-wait-2', 'state = fin-wait-1,fin-wait-2'],
  ['state = close,unconnected', 'state = closed,closed'],
  ['state all', 'state = established,syn-sent,syn-recv,fin-wait-1,fin-wait-2,time-wait,closed,close-wait,last-ack,listening,closing'],
  ['state connected', 'state = established,syn-sent,syn-recv,fin-wait-1,fin-wait-2,time-wait,close-wait,last-ack,closing'],
  ['state synchronized', 'state = established,syn-recv,fin-wait-1,fin-wait-2,time-wait,close-wait,last-ack,closing'],
  ['state bucket', 'state = syn-recv,time-wait'],
  ['state big', 'state = established,syn-sent,fin-wait-1,fin-wait-2,closed,close-wait,last-ack,listening,closing'],
  ['exclude time-wait', 'not state = time-wait'],
  ['state connected exclude time-wait',
    'state = established,syn-sent,syn-recv,fin-wait-1,fin-wait-2,time-wait,close-wait,last-ack,closing and not state = time-wait'],
  ['state connected and state big', 'state = established,syn-sent,syn-recv,fin-wait-1,fin-wait-2,time-wait,close-wait,last-ack,closing and '
    + 'state = established,syn-sent,fin-wait-1,fin-wait-2,closed,close-wait,last-ack,listening,closing'],
  ['state established dport = :443', 'state = established and dport = 443'],
]

for (const [text, canonical] of understood) {
  test(`${JSON.stringify(text)} is ${canonical}`, () => {
    const expression = read(text)
    assert.is(print(expression), canonical)
    assert.equal(read(canonical), expression, 'the canonical text is understood as the same')
  })
}

for (const [text, canonical, value] of [
  ['rx > 1M', 'rx > 1MB/s', 1e6],
  ['rx > 1500', 'rx > 1500B/s', 1500],
  ['tx >= 1.5kB/s', 'tx >= 1500B/s', 1500],
  ['tx < 1KiB', 'tx < 1024B/s', 1024],
  ['rx != 8Mbit/s', 'rx != 1MB/s', 1e6],
  ['rx = 2G', 'rx = 2GB/s', 2e9],
  ['rx = 3TB', 'rx = 3000GB/s', 3e12],
  ['rx > 0', 'rx > 0B/s', 0],
  ['rtt > 50ms', 'rtt > 50ms', 0.05],
  ['rtt <= 200us', 'rtt <= 200us', 0.0002],
  ['rtt gt 1.5s', 'rtt > 1500ms', 1.5],
  ['retrans > 1%', 'retrans > 1%', 0.01],
  ['retrans > .25%', 'retrans > 0.25%', 0.0025],
] as const) {
  test(`on the screen ${JSON.stringify(text)} is ${canonical}`, () => {
    const expression = read(text, true)
    const [term] = terms(expression)
    assert.is(print(expression), canonical)
    assert.equal(read(canonical, true), expression)
    assert.is(term?.kind === 'measure' && term.value, value)
  })
}

test('on the screen limit is one of the verdicts', () => {
  assert.is(print(read('limit = peer,net or not limit app', true)), 'limit = peer,net or not limit = app')
})

const [must, port] = [
  'a condition must begin with one of src dst host net sport dport port pid comm cgroup uid netns mntns family state accepted opened loopback',
  'a port from 0 to 65535, a range or a service',
]

/** Each with its whole message. */
const refused: readonly (readonly [text: string, ...message: readonly string[]])[] = [
  ['dst 300.1.1.1', 'dst must be an address or a network, got "300.1.1.1"', '  dst 300.1.1.1', '      ^'],
  ['port 443 and dst example.com', 'dst must be an address or a network, got "example.com": names of hosts are not looked up',
    '  port 443 and dst example.com', '                   ^'],
  ['dst localhost:80', 'dst must be an address or a network, got "localhost:80": names of hosts are not looked up', '  dst localhost:80', '      ^'],
  ['dst 443', 'dst must be an address or a network, got "443": a port is written :443', '  dst 443', '      ^'],
  ['dst 10.1', 'dst must be an address or a network, got "10.1": a network is written net 10.1 or 10.1/16', '  dst 10.1', '      ^'],
  ['dst 010.0.0.1', 'dst must be an address or a network, got "010.0.0.1"', '  dst 010.0.0.1', '      ^'],
  ['dst 10.0.0.0/33', 'dst must be an address or a network, got "10.0.0.0/33"', '  dst 10.0.0.0/33', '      ^'],
  ['dst ::/129', 'dst must be an address or a network, got "::/129"', '  dst ::/129', '      ^'],
  ['dst [::1', 'dst must be an address or a network, got "[::1"', '  dst [::1', '      ^'],
  ['dst 1::2::3', 'dst must be an address or a network, got "1::2::3"', '  dst 1::2::3', '      ^'],
  ['dst 10.0.0.1:', 'dst must be an address or a network, got "10.0.0.1:"', '  dst 10.0.0.1:', '      ^'],
  ['dst 10.0.0.1:htps', `behind the colon must be ${port}, got "htps"`, '  dst 10.0.0.1:htps', '               ^'],
  ['dst < 10.0.0.1', 'dst must be compared by = !=, got "<"', '  dst < 10.0.0.1', '      ^'],
  ['dst ~ 10.*', 'dst must be compared by = !=, got "~"', '  dst ~ 10.*', '      ^'],
  ['port', `port must be ${port}, got nothing`, '  port', '      ^'],
  ['port and loopback', `port must be ${port}, got "and"`, '  port and loopback', '       ^'],
  ['dport = 65536', `dport must be ${port}, got "65536"`, '  dport = 65536', '          ^'],
  ['dport = 10.0.0.1:443', `dport must be ${port}, got "10.0.0.1:443"`, '  dport = 10.0.0.1:443', '          ^'],
  ['dport = 80,', `dport must be ${port}, got nothing`, '  dport = 80,', '             ^'],
  ['dport = 80-65536', `dport must be ${port}, got "80-65536"`, '  dport = 80-65536', '          ^'],
  ['dport = 90-80', 'a range must begin with its lower end, got "90-80"', '  dport = 90-80', '          ^'],
  ['dport > 80,90', 'dport > must have a single value, got "90"', '  dport > 80,90', '             ^'],
  ['dport > 80-90', 'dport > must have a single value, got "80-90"', '  dport > 80-90', '          ^'],
  ['dport > *', `dport must be ${port}, got "*"`, '  dport > *', '          ^'],
  ['pid = -1', 'pid must be a process id from 0 to 4194304, got "-1"', '  pid = -1', '        ^'],
  ['netns = net:[45', 'netns must be the inode of a network namespace, from 0 to 4294967295, got "net:[45"', '  netns = net:[45', '          ^'],
  ['uid root', 'uid must be a user id from 0 to 4294967295, got "root"', '  uid root', '      ^'],
  ['state = dead',
    'state must be established, syn-sent, syn-recv, fin-wait-1, fin-wait-2, time-wait, closed, close-wait, last-ack, listening, closing, connected, '
    + 'synchronized, bucket, big or all, got "dead"', '  state = dead', '          ^'],
  ['state < established', 'state must be compared by = !=, got "<"', '  state < established', '        ^'],
  ['family = 5', 'family must be 4 or 6, got "5"', '  family = 5', '           ^'],
  ['comm = nginx*', 'comm = must be a whole name, got "nginx*": for a pattern write comm ~, or quote the name', '  comm = nginx*', '         ^'],
  ['comm = a-name-of-16-byt', 'comm must have at most 15 bytes, at which the kernel cuts names, got "a-name-of-16-byt"',
    '  comm = a-name-of-16-byt', '         ^'],
  ['comm = ééééééé,éééééééé', 'comm must have at most 15 bytes, at which the kernel cuts names, got "éééééééé"',
    '  comm = ééééééé,éééééééé', '                 ^'],
  ['comm ~ [a-', 'a class of characters must be closed, and its ranges ascend, got "[a-"', '  comm ~ [a-', '         ^'],
  ["comm = ''", 'comm must be the name of a process, got ""', "  comm = ''", '         ^'],
  ["comm = 'nginx", "a quoted word must end with '", "  comm = 'nginx", '         ^'],
  ['comm > a', 'comm must be compared by = != ~ !~, got ">"', '  comm > a', '       ^'],
  ['dprt = 443', `${must}, got "dprt"`, '  dprt = 443', '  ^'],
  ["'port' 443", `${must}, got "port"`, "  'port' 443", '  ^'],
  ['constructor = 1', `${must}, got "constructor"`, '  constructor = 1', '  ^'],
  ['port 80 or 443', `${must}, got "443": several values are written with commas`, '  port 80 or 443', '             ^'],
  ['dev eth0', `${must}, got "dev"`, '  dev eth0', '  ^'],
  ['', `${must}, got nothing`, '', '  ^'],
  ['loopback and', `${must}, got nothing`, '  loopback and', '              ^'],
  ['and loopback', `${must}, got "and"`, '  and loopback', '  ^'],
  ['(loopback', 'the parenthesis in column 1 must be closed, got nothing', '  (loopback', '           ^'],
  ['loopback)', 'a parenthesis must be opened before it is closed, got ")"', '  loopback)', '          ^'],
  ['loopback, accepted', 'and, or or a condition must follow, got ","', '  loopback, accepted', '          ^'],
  ['accepted = 1', 'and, or or a condition must follow, got "="', '  accepted = 1', '           ^'],
  ['state established state syn-sent', 'states must be a list where any of them is meant: state established,syn-sent',
    '  state established state syn-sent', '                    ^'],
  ['dport = 443 and rtt > 50ms', 'rtt is measured in user space: filter by it on the screen, with the key /',
    '  dport = 443 and rtt > 50ms', '                  ^'],
  ['limit = peer', 'limit is measured in user space: filter by it on the screen, with the key /', '  limit = peer', '  ^'],
  // The line of the place alone, and of a long one what is around it.
  ['port 1\n or port x\n or port 3', `port must be ${port}, got "x"`, '   or port x', '           ^'],
  [`${'port 1 or '.repeat(20)}port x${' or port 1'.repeat(20)}`, `port must be ${port}, got "x"`,
    `  …${'port 1 or '.repeat(20).slice(-55)}port x${' or port 1'.repeat(20).slice(0, 59)}…`, `${' '.repeat(63)}^`],
  [`comm = ${'x'.repeat(100)}`, `comm must have at most 15 bytes, at which the kernel cuts names, got "${'x'.repeat(60)}…"`, `  comm = ${'x'.repeat(60)}…`,
    '         ^'],
  // What would drive a terminal.
  ['comm = \u001b[31m*', 'comm = must be a whole name, got "\\u001b[31m*": for a pattern write comm ~, or quote the name',
    '  comm = ?[31m*', '         ^'],
  ['port 1 and \u202eabc', `${must}, got "?abc"`, '  port 1 and ?abc', '             ^'],
  ["comm = '日本' \tand port x", `port must be ${port}, got "x"`, "  comm = '日本'  and port x", '                          ^'],
]

for (const [text, ...message] of refused) {
  test(`${JSON.stringify(text)} is refused`, () => {
    try {
      read(text)
    } catch (error) {
      assert.instance(error, FilterError)
      assert.instance(error, UsageError)
      assert.equal((error as Error).message.split('\n'), message)
      return
    }
    assert.unreachable()
  })
}

for (const [text, message] of [
  ['rx > 10mb', /^rx must be bytes a second, such as 1500, 1M, 1MiB\/s or 8Mbit\/s, got "10mb"\n/],
  ['rx > 1e3', /got "1e3"/],
  ['rx > 99999999999999999999', /got "99999999999999999999"/],
  ['rtt > 50', /^rtt must be a time such as 50ms, 200us or 1s, got "50"\n/],
  ['retrans > 1', /^retrans must be a share such as 1%, got "1"\n/],
  ['rx > 1,2', /^rx must have a single value, got "2"\n/],
  ['rx ~ 1', /^rx must be compared by = != < > <= >=, got "~"\n/],
  ['limit = slow', /^limit must be app, peer, sndbuf, net, loss or reader, got "slow"\n/],
  ['latency > 1s', /loopback rx tx rtt retrans limit, got "latency"\n/],
] as const) {
  test(`on the screen ${text} is refused`, () => {
    assert.throws(() => read(text, true), message)
  })
}

/** Both readings are shown: from left to right as ss or, where that is the same, with `or` first; and with `and` first as C. */
const mixed: readonly (readonly [text: string, place: string, ...readings: readonly string[]])[] = [
  ['port 1 or port 2 and dst 10/8', '                   ^', '(port 1 or port 2) and dst 10/8', 'port 1 or (port 2 and dst 10/8)'],
  ['port 1 and port 2 or dst 10/8', '                    ^', 'port 1 and (port 2 or dst 10/8)', '(port 1 and port 2) or dst 10/8'],
  ['port 1|port 2 &\tdst 10/8', '                ^', '(port 1 or port 2) and dst 10/8', 'port 1 or (port 2 and dst 10/8)'],
  ['port 1 or port 2 not loopback', '                   ^', '(port 1 or port 2) and not loopback', 'port 1 or (port 2 and not loopback)'],
  ['accepted or opened or loopback and (uid 1 or uid 2) and pid 1 or pid 2', '                                 ^',
    '((accepted or opened or loopback) and (uid 1 or uid 2) and pid 1) or pid 2', 'accepted or opened or (loopback and (uid 1 or uid 2) and pid 1) or pid 2'],
]

for (const [text, place, ...readings] of mixed) {
  test(`${JSON.stringify(text)} may mean two things`, () => {
    assert.throws(() => read(text), (error: Error) => {
      assert.equal(error.message.split('\n'), [
        '"and" and "or" are mixed: parentheses must say which of these is meant', `  ${text.replace('\t', ' ')}`, place,
        ...readings.map(reading => `  ${reading}`),
      ])
      return true
    })
  })
}

test('what is inside parentheses may be mixed with what is outside', () => {
  assert.throws(() => read('(port 1 or port 2 and port 3)'), /"and" and "or" are mixed/)
  assert.is(print(read('(port 1 or port 2) and port 3')), '(port = 1 or port = 2) and port = 3')
  assert.is(print(read('dst 10.0.0.1:443 or port 2')), '(dst = 10.0.0.1 and dport = 443) or port = 2')
})

test('of a long filter both readings show the parts around the place', () => {
  const text = `${Array.from({ length: 50 }, (_, index) => `port ${index}`).join(' or ')} and comm = 'a long name' and cgroup = /${'x'.repeat(100)} or uid 1`
  assert.throws(() => read(text), (error: Error) => {
    const [, , , ...readings] = error.message.split('\n')
    assert.equal(readings, [
      "  … (port 48 or port 49) and comm = 'a long name' …",
      "  … port 48 or (port 49 and comm = 'a long name') …",
    ])
    return true
  })
})

test('every condition says when it is decided', () => {
  const aspects = (text: string) => terms(read(text, true)).map(aspectOf)
  assert.equal(aspects('sport 1 dport 1 port 1 src ::1 host ::1 family 4 accepted loopback netns 1'), Array(9).fill('connection'))
  assert.equal(aspects('not (pid 1 or comm a or cgroup /a or uid 1 or mntns 1)'), Array(5).fill('process'))
  assert.equal(aspects('state listen'), ['state'])
  assert.equal(aspects('rx > 1 tx > 1 rtt > 1s retrans > 1% limit net'), Array(5).fill('screen'))
  assert.equal(aspects('tcp'), [])
})

/** Where ss(8) disagrees with its own manual, with what a reader expects, or refuses (iproute2 6.1). */
test('what trips people up in the filters of ss(8) does not here', () => {
  // It wants blanks around every operator and parenthesis.
  assert.equal(read('(dport=:443)'), read('( dport = :443 )'))
  // `dst !=` is a syntax error there.
  assert.is(print(read('dst != 10.0.0.1')), 'dst != 10.0.0.1')
  // It reads from left to right, though the manual gives `and` precedence.
  assert.throws(() => read('sport = 1 or sport = 2 and dport = 3'), /\n {2}\(sport = 1 or sport = 2\) and dport = 3\n {2}sport = 1 or \(sport = 2 and dport = 3\)$/)
  // A mapped address does not find the IPv4 socket there.
  assert.equal(read('dst [::ffff:10.0.0.1]'), read('dst 10.0.0.1'))
  // Without brackets, what follows the last colon is a port there.
  assert.equal(read('dst fe80::443'), read('dst [fe80::443]'))
})

test('parentheses and negations have a limit that recursion does not reach', () => {
  const deep = (depth: number) => `${'('.repeat(depth)}loopback${')'.repeat(depth)}`
  assert.is(print(read(deep(200))), 'loopback')
  assert.throws(() => read(deep(201)), /must nest at most 200 deep/)
  assert.throws(() => read(deep(100_000)), /must nest at most 200 deep/)
  assert.throws(() => read(`${'not '.repeat(100_000)}loopback`), /must nest at most 200 deep/)
  assert.throws(() => read(`${'('.repeat(100)}loopback`), /the parenthesis in column 100 must be closed/)
})

test('services are looked up where there is a name alone', () => {
  const asked: string[] = []
  const portOf = (name: string) => {
    asked.push(name)
    return 1
  }
  parse('port 1,2-3 and dst :4 and state established', { portOf })
  assert.equal(asked, [])
  parse('port ssh and dst :https', { portOf })
  assert.equal(asked, ['ssh', 'https'])
})

test.run()
