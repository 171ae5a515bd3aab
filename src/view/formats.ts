import { csv } from './csv.js'
import type { Format } from './format.js'
import { json } from './json.js'
import { rows } from './rows.js'
import { table } from './table.js'

/** All formats, the default first. */
export const formats: readonly Format[] = [table, json, csv, rows]
