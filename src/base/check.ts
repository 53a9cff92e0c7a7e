/** Assertions for programmer errors, and integer arithmetic whose rounding is in its name. */

/** Throws when `condition` is false: a bug in this program, never a user's mistake. */
export function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`Check failed: ${message}`);
}

/** ⌈a / b⌉ for non-negative integers. */
export function divCeil(a: number, b: number): number {
  return Math.floor((a + b - 1) / b);
}

/** a / b, which must come out even. */
export function divExact(a: number, b: number): number {
  check(a % b === 0, `${a} is not a multiple of ${b}`);
  return a / b;
}

/** The smallest multiple of `alignment` that is at least `value`. */
export function alignUp(value: number, alignment: number): number {
  return divCeil(value, alignment) * alignment;
}
