// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Extent checks. The product runs without V8's bounds checks, so every export proves here, once,
 * at its entry, that all it will touch lies inside the memory. Arithmetic is u64: u32 products
 * cannot wrap.
 */

/** Traps unless [ptr, ptr + bytes) lies inside the memory. `bytes` must be below 2^63. */
@inline
export function check_bytes(ptr: usize, bytes: u64): void {
  if (<u64>ptr + bytes > <u64>(<u32>memory.size()) << 16) unreachable();
}

/** Traps unless `count` rows, `stride` bytes apart and `bytes` long, lie inside the memory. */
@inline
export function check_rows(ptr: usize, count: u32, stride: u32, bytes: u64): void {
  if (count != 0) check_bytes(ptr, <u64>(count - 1) * stride + bytes);
}

/** The same for f32 rows: stride and width count floats. */
@inline
export function check_f32_rows(ptr: usize, count: u32, stride: u32, width: u64): void {
  if (count != 0) {
    const floats = <u64>(count - 1) * stride + width;
    if (floats >> 30 != 0) unreachable();
    check_bytes(ptr, floats << 2);
  }
}
