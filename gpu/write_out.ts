/**
 * Loops of shaders, written out: compilers keep neither arrays nor loops in registers, so that
 * tiles of large products are variables. Lines between `//@ for NAMES in VALUES` and `//@ end`
 * stand once for each value; loops may be within loops. Knows nothing of what shaders do.
 *
 * NAMES are letters; VALUES a range `0..7` of whole numbers, or, separated by commas, as many words
 * as there are names. `{k}` is a value, `{16k+1}` a number times 16 and 1 more.
 */

/** An innermost loop: its names, its values, its lines. */
const LOOP = /^ *\/\/@ for (.+) in (.+)\n((?:(?! *\/\/@ ).*\n)*) *\/\/@ end\n/m;

/** The shader's text without loops. */
export function writeOut(text: string): string {
  const loop = LOOP.exec(text);
  if (loop === null) return text;
  const [whole, names, values, lines] = loop;
  const turns = turnsOf(values).map((turn) => fillIn(lines, names.split(" "), turn));
  return writeOut(text.replace(whole, () => turns.join("")));
}

function turnsOf(values: string): string[][] {
  const range = /^(\d+)\.\.(\d+)$/.exec(values);
  if (range === null) return values.split(", ").map((turn) => turn.split(" "));
  const [first, last] = [Number(range[1]), Number(range[2])];
  return Array.from({ length: last - first + 1 }, (_, i) => [String(first + i)]);
}

function fillIn(lines: string, names: readonly string[], turn: readonly string[]): string {
  return lines.replace(/\{(\d*)([a-z])(?:\+(\d+))?\}/g, (all, times, name, more) => {
    const value = turn[names.indexOf(name)];
    if (value === undefined || !(times || more)) return value ?? all;
    return String(Number(times || 1) * Number(value) + Number(more ?? 0));
  });
}
