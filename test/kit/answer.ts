import type { World } from '../../src/command/index.js'
import { main } from '../../src/main.js'

/** What the program prints for a command line that touches nothing but its output, such as `--help`. */
export async function answer(...argv: readonly string[]): Promise<string> {
  let text = ''
  const out = { isTerminal: false, size: () => undefined, write: async (part: string) => void (text += part) }
  await main(argv, { out, tell: () => {}, readText: () => undefined } as unknown as World)
  return text
}
