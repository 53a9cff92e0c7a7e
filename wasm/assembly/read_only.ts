/** The roof of every kernel that streams from memory. */
import { check_bytes } from "./bounds";

/** XOR of all 32-bit words of [ptr, ptr + bytes); bytes is a multiple of 256. */
export function read_only(ptr: usize, bytes: u32): i32 {
  if ((bytes & 255) != 0) unreachable();
  check_bytes(ptr, bytes);
  let x0 = i32x4.splat(0), x1 = x0, x2 = x0, x3 = x0;
  for (let left = bytes; left != 0; left -= 64, ptr += 64) {
    x0 = v128.xor(x0, v128.load(ptr));
    x1 = v128.xor(x1, v128.load(ptr, 16));
    x2 = v128.xor(x2, v128.load(ptr, 32));
    x3 = v128.xor(x3, v128.load(ptr, 48));
  }
  const x = v128.xor(v128.xor(x0, x2), v128.xor(x1, x3));
  return i32x4.extract_lane(x, 0) ^ i32x4.extract_lane(x, 1) ^
    i32x4.extract_lane(x, 2) ^ i32x4.extract_lane(x, 3);
}
