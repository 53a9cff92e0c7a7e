/**
 * The functions that chat templates expect from their host, written so that none of them can do
 * much harm. Knows nothing of the interpreter that calls them.
 */

/** A template refused the conversation by calling `raise_exception(message)`. */
export class TemplateRefusal extends Error {
  override readonly name = "TemplateRefusal";
}

/** The longest list that `range` makes. */
export const RANGE_ITEMS_MAX = 10_000;

/** `raise_exception(message)`: how a template says that it cannot render these messages. */
export function raiseException(message: unknown): never {
  throw new TemplateRefusal(String(message));
}

/**
 * Python's `range`, bounded.
 * @throws {RangeError} when it would have more than RANGE_ITEMS_MAX items or a bound is no integer.
 */
export function boundedRange(...bounds: unknown[]): number[] {
  const integers = bounds.filter((bound): bound is number => Number.isSafeInteger(bound));
  if (integers.length !== bounds.length || bounds.length < 1 || bounds.length > 3) {
    throw new RangeError("range() takes one to three integers");
  }
  const [start, stop] = integers.length === 1 ? [0, integers[0]] : integers;
  const step = integers[2] ?? 1;
  if (step === 0) throw new RangeError("range() step must not be zero");
  const itemCount = Math.max(0, Math.ceil((stop - start) / step));
  if (itemCount > RANGE_ITEMS_MAX) {
    throw new RangeError(`range() of ${itemCount} items: the limit is ${RANGE_ITEMS_MAX}`);
  }
  return Array.from({ length: itemCount }, (_, index) => start + index * step);
}

/** `strftime_now(format)`: the date as C's strftime writes it, in English and local time. */
export function strftime(date: Date, format: string): string {
  return format.replace(/%(-?[a-zA-Z%])/g, (whole, directive) => {
    const padded = !directive.startsWith("-");
    const write = DIRECTIVES[directive.at(-1)];
    if (!write) return whole;
    const text = write(date);
    return padded ? text : text.replace(/^0+(?=\d)/, "");
  });
}

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS =
  "January February March April May June July August September October November December"
    .split(" ");

const DIRECTIVES: Readonly<Record<string, (date: Date) => string>> = {
  "%": () => "%",
  A: (date) => DAYS[date.getDay()],
  a: (date) => DAYS[date.getDay()].slice(0, 3),
  B: (date) => MONTHS[date.getMonth()],
  b: (date) => MONTHS[date.getMonth()].slice(0, 3),
  d: (date) => twoDigits(date.getDate()),
  H: (date) => twoDigits(date.getHours()),
  I: (date) => twoDigits(date.getHours() % 12 || 12),
  M: (date) => twoDigits(date.getMinutes()),
  m: (date) => twoDigits(date.getMonth() + 1),
  p: (date) => (date.getHours() < 12 ? "AM" : "PM"),
  S: (date) => twoDigits(date.getSeconds()),
  Y: (date) => String(date.getFullYear()),
  y: (date) => twoDigits(date.getFullYear() % 100),
};

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}
