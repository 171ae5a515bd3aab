import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'

/** Seconds after which a test waits in vain. */
const patience = 30 * Number(process.env.TCPTOP_PATIENCE ?? 1)

/** Why there is no terminal to test in; undefined where there is one. */
export function whyNoTmux(): string | undefined {
  try {
    execFileSync('tmux', ['-V'])
    return undefined
  } catch {
    return 'there is no tmux'
  }
}

/** A real terminal with a shell in it, whose screen can be read. */
export class Tmux {
  static #count = 0
  readonly #name = `tcptop-${process.pid}-${Tmux.#count++}`

  constructor(readonly size: { readonly rows: number; readonly columns: number } = { rows: 24, columns: 100 }, env: Readonly<Record<string, string>> = {}) {
    const { rows, columns } = size
    const settings = Object.entries({ LANG: 'C.UTF-8', ...env }).flatMap(([name, value]) => ['-e', `${name}=${value}`])
    // A shell of its own, which reads no file and has job control.
    this.#run('-f', '/dev/null', 'new-session', '-d', '-x', `${columns}`, '-y', `${rows}`, ...settings, 'bash --norc --noprofile')
    this.enter("PS1='$ '; clear")
  }

  #run(...args: readonly string[]): string {
    return execFileSync('tmux', ['-L', this.#name, ...args], { encoding: 'utf8', env: { ...process.env, TMUX: '', LC_ALL: 'C.UTF-8' } })
  }

  /** Presses keys, by tmux's names of them. */
  press(...keys: readonly string[]): void {
    this.#run('send-keys', ...keys)
  }

  /** Types a text as it is. */
  type(text: string): void {
    this.#run('send-keys', '-l', text)
  }

  enter(command: string): void {
    this.type(command)
    this.press('Enter')
  }

  /** As a paste, in brackets where the program has asked for these. */
  paste(text: string): void {
    this.#run('set-buffer', text)
    this.#run('paste-buffer', '-p')
  }

  resize(rows: number, columns: number): void {
    this.#run('resize-window', '-x', `${columns}`, '-y', `${rows}`)
  }

  /** What is on the screen. */
  get lines(): string[] {
    return this.#run('capture-pane', '-p').split('\n').slice(0, -1).map(line => line.trimEnd())
  }

  get text(): string {
    return this.lines.join('\n')
  }

  /** A format of tmux: `history_size`, `alternate_on`, `cursor_flag`, `mouse_any_flag`, `pane_pid` … */
  get(format: string): string {
    return this.#run('display-message', '-p', `#{${format}}`).trim()
  }

  /** Resolves with the screen once it is as wanted. */
  async until(wanted: (text: string, lines: readonly string[]) => boolean): Promise<string> {
    for (const end = Date.now() + patience * 1000; ; await sleep(30)) {
      const { lines } = this
      const text = lines.join('\n')
      if (wanted(text, lines)) return text
      if (Date.now() > end) throw new Error(`in vain:\n${text}`)
    }
  }

  close(): void {
    this.#run('kill-server')
  }
}
