// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** The roof of every kernel that streams from memory. */
import { check_bytes } from "./bounds";

/**
 * XOR of all 32-bit words of [ptr, ptr + bytes); bytes is a multiple of 256. Four quarters are read
 * side by side, as kernels read rows: a thread gets more out of the memory than by one stream.
 */
export function read_only(ptr: usize, bytes: u32): i32 {
  if ((bytes & 255) != 0) unreachable();
  check_bytes(ptr, bytes);
  const quarter = bytes >> 2;
  const end = ptr + quarter;
  let x0 = i32x4.splat(0), x1 = x0, x2 = x0, x3 = x0;
  for (; ptr != end; ptr += 64) {
    x0 = v128.xor(x0, line(ptr));
    x1 = v128.xor(x1, line(ptr + quarter));
    x2 = v128.xor(x2, line(ptr + 2 * quarter));
    x3 = v128.xor(x3, line(ptr + 3 * quarter));
  }
  const x = v128.xor(v128.xor(x0, x2), v128.xor(x1, x3));
  return i32x4.extract_lane(x, 0) ^ i32x4.extract_lane(x, 1) ^
    i32x4.extract_lane(x, 2) ^ i32x4.extract_lane(x, 3);
}

@inline
function line(at: usize): v128 {
  const a = v128.xor(v128.load(at), v128.load(at, 16));
  return v128.xor(a, v128.xor(v128.load(at, 32), v128.load(at, 48)));
}
