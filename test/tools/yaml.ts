/** What the recipes are made of. */
export type Yaml = string | readonly Yaml[] | { readonly [key: string]: Yaml }

interface Line {
  readonly indent: number
  readonly text: string
}

/**
 * Reads the YAML that the recipes keep to: mappings and lists by indentation of spaces, lists of plain scalars in brackets, scalars of one line; all
 * scalars are strings. Throws for anything else, and for a key that is there twice.
 */
export function parseYaml(text: string): Yaml {
  const lines = text.split('\n').map(line => ({ indent: line.search(/\S|$/), text: line.trim() }))
    .filter(({ text }) => text !== '' && !text.startsWith('#'))
  const value = block(lines, lines[0]?.indent ?? 0)
  if (lines.length > 0) throw new Error(`no line of this indentation goes here: ${lines[0]!.text}`)
  return value
}

/** Takes the lines of a mapping or a list away. */
function block(lines: Line[], indent: number): Yaml {
  return lines[0]?.text.startsWith('- ') ? list(lines, indent) : mapping(lines, indent)
}

function list(lines: Line[], indent: number): Yaml {
  const entries: Yaml[] = []
  while (lines[0]?.indent === indent && lines[0].text.startsWith('- ')) {
    const text = lines.shift()!.text.slice(2)
    if (!/^\w+:( |$)/.test(text)) {
      entries.push(scalar(text))
      continue
    }
    lines.unshift({ indent: indent + 2, text })
    entries.push(mapping(lines, indent + 2))
  }
  return entries
}

function mapping(lines: Line[], indent: number): Yaml {
  const found: Record<string, Yaml> = {}
  while (lines[0]?.indent === indent) {
    const { text } = lines.shift()!
    const [, key, rest] = /^(\w+):(?: (.+))?$/.exec(text) ?? []
    if (key === undefined || key in found) throw new Error(`no key, or one that was there: ${text}`)
    const below = lines[0]
    if (rest !== undefined) found[key] = scalar(rest)
    else if (below === undefined || below.indent <= indent) throw new Error(`nothing below ${key}`)
    else found[key] = block(lines, below.indent)
  }
  return found
}

function scalar(text: string): Yaml {
  const inside = /^\[(.*)\]$/.exec(text)?.[1]
  if (inside !== undefined) return inside.split(', ').map(scalar)
  const quoted = /^"([^"\\]*)"$/.exec(text)?.[1]
  if (quoted === undefined && !/^[\w./-][\w./:=-]*$/.test(text)) throw new Error(`no plain scalar: ${text}`)
  return quoted ?? text
}
