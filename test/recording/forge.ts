import { crc32, deflateRawSync, gunzipSync } from 'node:zlib'
import { headSize } from '../../src/recording/member.js'

/** The member with another text, and the right length and checksum. */
export function forge(member: Buffer, change: (text: string) => string): Buffer {
  const text = Buffer.from(change(gunzipSync(member).toString()))
  const body = deflateRawSync(text)
  const tail = Buffer.alloc(8)
  tail.writeUInt32LE(crc32(text), 0)
  tail.writeUInt32LE(text.length, 4)
  const bytes = Buffer.concat([member.subarray(0, headSize), body, tail])
  bytes.writeUInt32LE(bytes.length, 16)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, headSize - 4)), headSize - 4)
  return bytes
}
