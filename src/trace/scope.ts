/** What was opened together and is closed together, the last first. */
export class Scope {
  readonly #opened: { close(): void }[] = []

  /** Takes charge of `resource`, and returns it. */
  own<T extends { close(): void }>(resource: T): T {
    this.#opened.push(resource)
    return resource
  }

  /** Closes everything; once is enough, more often does no harm. */
  close(): void {
    for (const resource of this.#opened.splice(0).reverse()) resource.close()
  }
}
