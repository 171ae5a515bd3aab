/** Memory of `size` bytes with what was at `old`, which is given back; 0 is no memory. */
export function resize(old: usize, size: usize): usize {
  return old == 0 ? heap.alloc(size) : heap.realloc(old, size)
}
