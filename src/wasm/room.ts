/** Memory of `size` bytes with what was at `old`, which is given back; 0 is no memory. */
export function resize(old: usize, size: usize): usize {
  return old == 0 ? heap.alloc(size) : heap.realloc(old, size)
}

/** Memory of `size` bytes, all zero; what was at `old` is given back. */
export function renew(old: usize, size: usize): usize {
  if (old != 0) heap.free(old)
  const fresh = heap.alloc(size)
  memory.fill(fresh, 0, size)
  return fresh
}

/** Copies 16 bytes, as engines call a function for `memory.copy`. */
@inline
export function copy16(to: usize, from: usize): void {
  store<u64>(to, load<u64>(from))
  store<u64>(to, load<u64>(from, 8), 8)
}
