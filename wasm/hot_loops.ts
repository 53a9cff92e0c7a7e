/**
 * What is in the loops of compiled kernels: how many instructions of some kinds a turn has, from a
 * module's text. Knows nothing of files, and not what kernels should have.
 */

/** Instructions that are counted: what hot loops are made of, and one that they should not have. */
const COUNTED = [
  "i16x8.relaxed_dot_i8x16_i7x16_s",
  "i32x4.relaxed_dot_i8x16_i7x16_add_s",
  "f32x4.relaxed_madd",
  "i32x4.dot_i16x8_s",
  "v128.const i32x4 0x0f0f0f0f",
] as const;

export type Counted = typeof COUNTED[number];

/** A function with loops. */
export interface FunctionLoops {
  readonly calls: number;
  /** From where each loop begins to where the next one does: those of `COUNTED` that are there. */
  readonly loops: readonly Readonly<Partial<Record<Counted, number>>>[];
}

/** Functions of a module whose loops hold something that is counted, by name. */
export function loopsOf(text: string): Record<string, FunctionLoops> {
  const found: Record<string, FunctionLoops> = {};
  for (const [, quoted, plain, body] of text.matchAll(FUNCTION)) {
    const [, ...parts] = body.split(/^ *\(?loop\b/m);
    const loops = parts.map(countsOf);
    if (loops.every((counts) => Object.keys(counts).length === 0)) continue;
    found[quoted ?? plain] = { calls: timesIn(body, "call "), loops };
  }
  return found;
}

/** A function's name, in quotes or not, and all up to its last line. */
const FUNCTION = /^ \(func \$(?:"([^"]*)"|([^\s()]+))([^]*?)^ \)/gm;

function countsOf(part: string): Partial<Record<Counted, number>> {
  const counted = COUNTED.map((name) => [name, timesIn(part, name)] as const);
  return Object.fromEntries(counted.filter(([, times]) => times > 0));
}

function timesIn(text: string, what: string): number {
  return text.split(what).length - 1;
}
