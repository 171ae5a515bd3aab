import { createServer } from 'node:net'

/** Somebody else holds the lock. */
export class Locked extends Error {
  override readonly name = 'Locked'
}

/**
 * A lock for the one who writes a file: an abstract Unix socket named after the file's device and inode. It needs no file that could be left behind,
 * and the kernel takes it back when its holder ends, however that was. It is seen by all processes of a network namespace. Returns what gives it
 * back; throws Locked when another process holds it, Node's error when there can be no socket.
 */
export function lock({ dev, ino }: { readonly dev: bigint; readonly ino: bigint }): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const server = createServer(connection => connection.destroy())
    server.once('error', error => reject('code' in error && error.code === 'EADDRINUSE' ? new Locked('another process writes it', { cause: error }) : error))
    server.listen({ path: `\0tcptop-recording-${dev}-${ino}`, exclusive: true }, () => resolve(() => void server.close()))
    // It must not keep the program from ending.
    server.unref()
  })
}
