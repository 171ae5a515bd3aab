import { tcpServices } from '../host/index.js'

/** For hosts without /etc/services, such as most containers. */
const wellKnown: ReadonlyMap<string, number> = new Map(Object.entries({
  ftp: 21, ssh: 22, telnet: 23, smtp: 25, domain: 53, http: 80, kerberos: 88, pop3: 110, sunrpc: 111, ntp: 123, imap2: 143, snmp: 161, bgp: 179,
  ldap: 389, https: 443, submission: 587, ldaps: 636, imaps: 993, pop3s: 995, mysql: 3306, postgresql: 5432, amqp: 5672, redis: 6379,
  'http-alt': 8080,
}))

/** The ports of the TCP services by their names and aliases, in the format of services(5). */
export function readServices(text: string): ReadonlyMap<string, number> {
  const ports = new Map<string, number>()
  // As getservbyname(3), which takes the first.
  for (const { port, names } of tcpServices(text)) for (const name of names) if (!ports.has(name)) ports.set(name, port)
  return ports
}

/**
 * Looks up services. `read` returns the text of /etc/services; it is called once, for the first name. A name that is not in it, or every name when
 * `read` throws, is looked up among a few well-known ones. The function returns undefined for an unknown name.
 */
export function servicePorts(read: () => string): (name: string) => number | undefined {
  let ports: ReadonlyMap<string, number> | undefined
  return name => {
    ports ??= readOrNone(read)
    return ports.get(name) ?? wellKnown.get(name)
  }
}

function readOrNone(read: () => string): ReadonlyMap<string, number> {
  try {
    return readServices(read())
  } catch {
    return new Map()
  }
}
