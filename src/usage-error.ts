/** A command line that is not understood. The message is one line: the option, what it must be and what was given. */
export class UsageError extends Error {
  override readonly name = 'UsageError'

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
  }
}
