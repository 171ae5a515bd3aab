/** A command line that is not understood. The message is one line, of a filter a few: the option, what it must be and what was given. */
export class UsageError extends Error {
  override readonly name = 'UsageError'

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
  }
}
