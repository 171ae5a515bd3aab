import { restoreAtEnd } from '../../syscall/index.js'

/** A terminal's size in cells. */
export interface Size {
  readonly rows: number
  readonly columns: number
}

/** What a terminal can show. */
export interface Abilities {
  /** Whether it obeys escape sequences: a TERM of its own, and not `dumb`. */
  readonly canMove: boolean
  readonly hasColour: boolean
  /** Whether characters beyond ASCII can be shown. */
  readonly isUnicode: boolean
}

/** What the environment says of the terminal: TERM, NO_COLOR (no-color.org), and the locale as setlocale(3) finds it. */
export function abilities(env: Readonly<Record<string, string | undefined>>): Abilities {
  const { TERM: term = '', NO_COLOR: noColour = '' } = env
  const locale = [env.LC_ALL, env.LC_CTYPE, env.LANG].find(name => name !== undefined && name !== '') ?? ''
  const canMove = term !== '' && term !== 'dumb'
  return { canMove, hasColour: canMove && noColour === '' && !/-m(?:ono)?$/.test(term), isUnicode: /utf-?8/i.test(locale) }
}

/** The terminal that a person sits at. */
export interface Tty extends Abilities {
  /** Whether keys can be read from it. */
  readonly hasKeys: boolean
  size(): Size | undefined
  /** Resolves when all is written. */
  write(text: string): Promise<void>
  /** Writes at once and for certain, or not at all: on ways out on which nothing is waited for. */
  writeNow(text: string): void
  /** Keys one by one, without echo and signals, as long as it is raw. */
  setRaw(isRaw: boolean): void
  /** What is sent to the terminal when a signal ends the process at once; empty for nothing. */
  restoreAtEnd(text: string): void
  /** Calls back with what is typed until the returned function is called. */
  onInput(listener: (text: string) => void): () => void
  /** Calls back when the size has changed. */
  onResize(listener: () => void): () => void
  /** Calls back when another process asks this one to stop (SIGTSTP), and when it goes on (SIGCONT). */
  onStop(stop: () => void, goOn: () => void): () => void
  /** Stops all processes of the job until the shell continues them. */
  stop(): void
  /** Calls back when the process ends in any way but by a signal. */
  onExit(listener: () => void): () => void
}

type Streams = Pick<NodeJS.Process, 'stdin' | 'stdout' | 'kill' | 'on' | 'off' | 'env'>

/** Standard input and output as a terminal; `out` is standard output. */
export function openTty(host: Streams, out: Pick<Tty, 'size' | 'write' | 'writeNow'>): Tty {
  const { stdin, stdout } = host
  const hasKeys = stdin.isTTY === true
  return {
    ...abilities(host.env),
    hasKeys,
    size: out.size,
    write: out.write,
    writeNow: out.writeNow,
    setRaw: isRaw => {
      if (hasKeys) stdin.setRawMode(isRaw)
    },
    restoreAtEnd: text => void restoreAtEnd(text),
    onInput: listener => {
      if (!hasKeys) return () => {}
      stdin.setEncoding('utf8').on('data', listener).resume()
      // A terminal that is gone says so by a signal.
      stdin.on('error', () => {})
      return () => stdin.off('data', listener).pause()
    },
    onResize: listener => {
      stdout.on('resize', listener)
      return () => stdout.off('resize', listener)
    },
    onStop: (stop, goOn) => {
      host.on('SIGTSTP', stop).on('SIGCONT', goOn)
      return () => host.off('SIGTSTP', stop).off('SIGCONT', goOn)
    },
    // SIGTSTP has a handler here, which keeps it from stopping this process.
    stop: () => host.kill(0, 'SIGSTOP'),
    onExit: listener => {
      host.on('exit', listener)
      return () => host.off('exit', listener)
    },
  }
}
