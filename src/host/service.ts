/** The TCP services of a text in the format of services(5): each with its port, its name and then its aliases. */
export function* tcpServices(text: string): Generator<{ readonly port: number; readonly names: readonly string[] }> {
  for (const line of text.split('\n')) {
    const [name, place = '', ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/)
    const [, digits] = /^(\d{1,5})\/tcp$/.exec(place) ?? []
    if (name !== undefined && digits !== undefined && Number(digits) <= 65_535) yield { port: Number(digits), names: [name, ...aliases] }
  }
}
