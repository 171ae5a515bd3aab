/** What is used of WebAssembly, which Node.js has and whose types come with those of browsers alone. */
declare namespace WebAssembly {
  interface Memory {
    readonly buffer: ArrayBuffer
  }
  interface Instance {
    readonly exports: Readonly<Record<string, unknown>>
  }
  function instantiate(bytes: Uint8Array): Promise<{ readonly instance: Instance }>
}
