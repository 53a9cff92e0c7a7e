/**
 * Numbers between two bounds as an expression over their digits. Works on decimal digits, so that
 * nothing is rounded; knows nothing of schemas.
 */
import {
  choice,
  type Expression,
  never,
  nothing,
  oneOf,
  optional,
  repeat,
  sequence,
  text,
} from "../expression.ts";

/** A bound: where it is, and whether it is itself left out. */
export interface Bound {
  readonly value: number;
  readonly isOpen: boolean;
}

export interface NumberRange {
  readonly low: Bound | null;
  readonly high: Bound | null;
  readonly isInteger: boolean;
}

/** Whole digits that are written: larger numbers are not exact. */
const WHOLE_DIGITS_MAX = 15;
/** Numbers in a range stay below this. */
export const RANGE_END = 10 ** WHOLE_DIGITS_MAX;
/** Digits of a bound's fraction. */
const FRACTION_DIGITS_MAX = 15;

/** A bound of numbers that are not negative, digit by digit. */
interface Digits {
  readonly whole: string;
  readonly fraction: string;
  readonly isOpen: boolean;
}

/** All numbers of a range, without exponents; null when a bound has too many digits to be met. */
export function numbersBetween({ low, high, isInteger }: NumberRange): Expression | null {
  const parts: Expression[] = [];
  const most: Bound = { value: RANGE_END - 1, isOpen: false };
  const top = high === null || high.value > most.value ? most : high;
  const bottom = low === null || low.value < -most.value ? { ...most, value: -most.value } : low;
  if (top.value >= 0) {
    const from = bottom.value >= 0 ? digitsOf(bottom) : ZERO;
    const to = digitsOf(top);
    if (from === null || to === null) return null;
    parts.push(unsigned(from, to, isInteger));
  }
  if (bottom.value < 0) {
    // A minus before zero is a number, too, but says nothing.
    const from = top.value < 0
      ? digitsOf(negated(top))
      : isInteger
      ? ONE
      : { ...ZERO, isOpen: true };
    const to = digitsOf(negated(bottom));
    if (from === null || to === null) return null;
    parts.push(sequence(text("-"), unsigned(from, to, isInteger)));
  }
  return choice(...parts);
}

const ZERO: Digits = { whole: "0", fraction: "", isOpen: false };
const ONE: Digits = { whole: "1", fraction: "", isOpen: false };

function negated({ value, isOpen }: Bound): Bound {
  return { value: -value, isOpen };
}

function digitsOf({ value, isOpen }: Bound): Digits | null {
  const match = /^(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value));
  if (match === null) return null;
  const [, head, tail = "", exponent = "0"] = match;
  const shift = Number(exponent);
  const digits = head + tail;
  const point = head.length + shift;
  const whole = point <= 0 ? "0" : digits.slice(0, point).padEnd(point, "0");
  const fraction = point <= 0 ? "0".repeat(-point) + digits : digits.slice(point);
  const isTooLong = whole.length > WHOLE_DIGITS_MAX || fraction.length > FRACTION_DIGITS_MAX;
  return isTooLong ? null : { whole, fraction, isOpen };
}

/** Numbers from `low` to `high`, both not negative. */
function unsigned(low: Digits, high: Digits, isInteger: boolean): Expression {
  const parts: Expression[] = [];
  for (let length = low.whole.length; length <= high.whole.length; length++) {
    const isLowNear = length === low.whole.length;
    const isHighNear = length === high.whole.length;
    const digits = new RangeDigits({ low, high, isInteger, length });
    parts.push(digits.whole(0, isLowNear, isHighNear));
  }
  return choice(...parts);
}

/** Numbers of so many whole digits; "near" a bound: all digits so far are the bound's. */
class RangeDigits {
  readonly #low: Digits;
  readonly #high: Digits;
  readonly #isInteger: boolean;
  readonly #length: number;
  readonly #fractionMax: number;

  constructor(of: { low: Digits; high: Digits; isInteger: boolean; length: number }) {
    this.#low = of.low;
    this.#high = of.high;
    this.#isInteger = of.isInteger;
    this.#length = of.length;
    const longest = Math.max(of.low.fraction.length, of.high.fraction.length);
    this.#fractionMax = Math.max(1, longest, WHOLE_DIGITS_MAX - of.length);
  }

  /** The whole digits from index `at` on, and what follows them. */
  whole(at: number, nearLow: boolean, nearHigh: boolean): Expression {
    if (at === this.#length) return this.#afterWhole(nearLow, nearHigh);
    const least = at === 0 && this.#length > 1 ? 1 : 0;
    return this.#digit({
      least: nearLow ? Number(this.#low.whole[at]) : least,
      most: nearHigh ? Number(this.#high.whole[at]) : 9,
      nearLow,
      nearHigh,
      next: (low, high) => this.whole(at + 1, low, high),
      free: () =>
        sequence(repeat(digit(0, 9), this.#length - at - 1, this.#length - at - 1), this.#freeEnd),
    });
  }

  #afterWhole(nearLow: boolean, nearHigh: boolean): Expression {
    const stop = this.#mayStop(0, nearLow, nearHigh) ? [nothing()] : [];
    if (this.#isInteger) return choice(...stop);
    return choice(...stop, sequence(text("."), this.#fraction(0, nearLow, nearHigh)));
  }

  #fraction(at: number, nearLow: boolean, nearHigh: boolean): Expression {
    if (at === this.#fractionMax) return never();
    const rest = this.#fractionMax - at - 1;
    return this.#digit({
      least: nearLow ? Number(this.#low.fraction[at] ?? 0) : 0,
      most: nearHigh ? Number(this.#high.fraction[at] ?? 0) : 9,
      nearLow,
      nearHigh,
      next: (low, high) =>
        choice(
          ...this.#mayStop(at + 1, low, high) ? [nothing()] : [],
          this.#fraction(at + 1, low, high),
        ),
      free: () => repeat(digit(0, 9), 0, rest),
    });
  }

  /** One digit: the low bound's, the high bound's, and those between, after which all is free. */
  #digit(of: {
    least: number;
    most: number;
    nearLow: boolean;
    nearHigh: boolean;
    next: (nearLow: boolean, nearHigh: boolean) => Expression;
    free: () => Expression;
  }): Expression {
    const { least, most, nearLow, nearHigh } = of;
    if (nearLow && nearHigh && least === most) {
      return sequence(digit(least, least), of.next(true, true));
    }
    const parts: Expression[] = [];
    if (least > most) return never();
    if (nearLow) parts.push(sequence(digit(least, least), of.next(true, false)));
    if (nearHigh) parts.push(sequence(digit(most, most), of.next(false, true)));
    const first = least + (nearLow ? 1 : 0);
    const last = most - (nearHigh ? 1 : 0);
    if (first <= last) parts.push(sequence(digit(first, last), of.free()));
    return choice(...parts);
  }

  /** Whether a number may end before the fraction's digit `at`. */
  #mayStop(at: number, nearLow: boolean, nearHigh: boolean): boolean {
    const isZero = (digits: Digits) => /^0*$/.test(digits.fraction.slice(at));
    if (nearLow && (!isZero(this.#low) || this.#low.isOpen)) return false;
    return !(nearHigh && isZero(this.#high) && this.#high.isOpen);
  }

  get #freeEnd(): Expression {
    if (this.#isInteger) return nothing();
    return optional(sequence(text("."), repeat(digit(0, 9), 1, this.#fractionMax)));
  }
}

function digit(first: number, last: number): Expression {
  return oneOf([0x30 + first, 0x30 + last]);
}
