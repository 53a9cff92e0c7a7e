/**
 * Multiples of a number, digit by digit: what is left over when the digits so far are divided.
 * Exact, as decimals are; knows nothing of bounds, or of how JSON writes numbers.
 */
import { codePoints } from "../code_points.ts";
import type { Machine } from "./languages.ts";

/** Of the last digit's place: 12.5 has 125. */
export const UNITS_MAX = 1000;
/** Digits behind the point that are written. */
const PLACES_MAX = 12;

const MINUS = 0x2d, POINT = 0x2e, ZERO = 0x30, NINE = 0x39;
/** All that numbers without exponents are written with. */
const POINTS = [MINUS, POINT, ...Array.from({ length: 10 }, (_, digit) => ZERO + digit)];

/**
 * Reads a number without an exponent; null: one of too many digits.
 * @param spend counts work, and throws when there was too much.
 */
export function multiplesOf(
  value: number,
  spend: (units: number) => void = () => {},
): Machine & { readonly first: number } | null {
  const found = /^(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value));
  if (found === null) return null;
  const [, whole, fraction = "", exponent = "0"] = found;
  const shift = Number(exponent) - fraction.length;
  if (-shift > PLACES_MAX || shift > 3) return null;
  const places = Math.max(0, -shift);
  const units = Number(whole + fraction) * 10 ** Math.max(0, shift);
  if (units > UNITS_MAX) return null;
  // A state is what is left over, and how many places behind the point were read; -1: no point yet.
  const stateOf = (left: number, read: number) => left + units * (read + 1);
  const raw = {
    step(state: number, point: number) {
      const left = state % units;
      const read = Math.floor(state / units) - 1;
      if (point === MINUS) return state;
      if (point === POINT) return read < 0 && places > 0 ? stateOf(left, 0) : null;
      if (point < ZERO || point > NINE || read === places) return null;
      return stateOf((10 * left + point - ZERO) % units, read < 0 ? read : read + 1);
    },
    accepts(state: number) {
      let left = state % units;
      for (let i = Math.max(0, Math.floor(state / units) - 1); i < places; i++) {
        left = 10 * left % units;
      }
      return left === 0;
    },
  };
  const same = sameStates(units * (places + 2), raw, spend);
  return {
    first: same[stateOf(0, -1)],
    step(state, point) {
      const next = raw.step(state, point);
      return next === null ? null : same[next];
    },
    accepts: raw.accepts,
    sets: POINTS.map((point) => codePoints([point, point])),
  };
}

/**
 * By state, the first one behind which the same texts follow (Moore 1956): what a hundred leaves
 * over has a hundred states, of which three differ.
 */
function sameStates(
  count: number,
  { step, accepts }: Pick<Machine, "step" | "accepts">,
  spend: (units: number) => void,
): number[] {
  let classes: number[] = Array.from({ length: count }, (_, state) => accepts(state) ? 1 : 0);
  for (let found = 0;;) {
    spend(count * POINTS.length);
    const numbers = new Map<string, number>();
    const finer = classes.map((own, state) => {
      const nexts = POINTS.map((point) => {
        const next = step(state, point);
        return next === null ? -1 : classes[next];
      });
      const key = `${own} ${nexts.join()}`;
      if (!numbers.has(key)) numbers.set(key, numbers.size);
      return numbers.get(key)!;
    });
    classes = finer;
    if (numbers.size === found) break;
    found = numbers.size;
  }
  const firsts = new Map<number, number>();
  return classes.map((each, state) => {
    if (!firsts.has(each)) firsts.set(each, state);
    return firsts.get(each)!;
  });
}
