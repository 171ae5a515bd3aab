import { SourceMap, type SourceMapPayload } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { SourceLine } from '../../bpf-asm/index.js'

export type SourceOf = (place: SourceLine) => SourceLine

/**
 * Finds the lines of TypeScript that places in JavaScript were compiled from, by the source maps beside it; without one a place is what it
 * is. `readText` gives undefined for a file that cannot be read.
 */
export function sources(readText: (path: string) => string | undefined): SourceOf {
  const known = new Map<string, SourceOf>()
  return place => {
    const { file } = place
    const sourceOf = known.get(file) ?? sourcesOf(file, readText)
    known.set(file, sourceOf)
    return sourceOf(place)
  }
}

/** The same for one file. */
function sourcesOf(file: string, readText: (path: string) => string | undefined): SourceOf {
  const path = file.startsWith('file:') ? fileURLToPath(file) : file
  const text = readText(`${path}.map`)
  if (text === undefined) return place => ({ ...place, file: path })
  const payload = JSON.parse(text) as SourceMapPayload
  const map = new SourceMap(payload)
  const lines = new Map(payload.sources.map((source, index) => [source, payload.sourcesContent[index]?.split('\n')]))
  return place => {
    const origin = map.findOrigin(place.line, place.column)
    if (!('fileName' in origin)) return { ...place, file: path }
    const { fileName, lineNumber, columnNumber } = origin
    const text = lines.get(fileName)?.[lineNumber - 1]?.trim()
    return {
      file: fileURLToPath(new URL(fileName, pathToFileURL(path))),
      line: lineNumber,
      column: columnNumber,
      ...(text === undefined ? {} : { text }),
    }
  }
}
