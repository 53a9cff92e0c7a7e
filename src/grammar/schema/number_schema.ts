/** Numbers: bounds, and what they are multiples of. */
import { type Expression, oneOf } from "../expression.ts";
import { automatonText } from "./automaton_text.ts";
import { type Bound, numbersBetween, RANGE_END } from "./decimal_range.ts";
import { expressionLanguage } from "./expression_language.ts";
import { LanguageError, Languages } from "./languages.ts";
import { multiplesOf, UNITS_MAX } from "./multiples.ts";
import { at, type SchemaContext, schemaError, type SchemaObject, wordOf } from "./schema_types.ts";

const BOUND_WORDS = ["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"];

/** What a number of the schema looks like. */
export function convertNumber(
  context: SchemaContext,
  schema: SchemaObject,
  of: { isInteger: boolean; path: string },
): Expression {
  const within = numbersWithin(context, schema, of);
  const multiple = wordOf(schema, "multipleOf");
  if (multiple === undefined || multiple === 1 && of.isInteger) return within;
  const here = at(of.path, "multipleOf");
  if (typeof multiple !== "number" || !(multiple > 0) || !Number.isFinite(multiple)) {
    throw schemaError(here, "it is no number above 0: correct it");
  }
  const bounds = BOUND_WORDS.map((word) => wordOf(schema, word) ?? null);
  const name = `multiples ${JSON.stringify([multiple, of.isInteger, ...bounds])}`;
  return context.json.once(name, () => multiplesWithin(context, { within, multiple, path: here }));
}

function multiplesWithin(
  { json }: SchemaContext,
  { within, multiple, path }: { within: Expression; multiple: number; path: string },
): Expression {
  const languages = new Languages(json.automata);
  try {
    const machine = multiplesOf(multiple, (units) => languages.spend(units));
    if (machine === null) {
      const bound = `${UNITS_MAX} units of its last digit`;
      throw schemaError(path, `it has more than ${bound}: leave it out`);
    }
    const range = expressionLanguage(json.book, within, languages);
    const all = languages.and(range, languages.machine(machine, machine.first));
    const automaton = languages.automatonOf(all);
    if (automaton.states.length === 0) {
      throw schemaError(path, "no multiple of it is within the bounds: correct them");
    }
    return automatonText(json, automaton, oneOf);
  } catch (error) {
    if (!(error instanceof LanguageError)) throw error;
    throw schemaError(path, `it takes ${error.message}: leave it out`);
  }
}

function numbersWithin(
  { json }: SchemaContext,
  schema: SchemaObject,
  { isInteger, path }: { isInteger: boolean; path: string },
): Expression {
  const low = tighter(schema, path, { words: ["minimum", "exclusiveMinimum"], sign: 1 });
  const high = tighter(schema, path, { words: ["maximum", "exclusiveMaximum"], sign: -1 });
  if (low === null && high === null) return isInteger ? json.integer : json.number;
  const from = isInteger ? inward(low, 1) : low;
  const to = isInteger ? inward(high, -1) : high;
  if (from !== null && from.value >= RANGE_END || to !== null && to.value <= -RANGE_END) {
    throw schemaError(path, `numbers beyond ${RANGE_END} are not supported: move the bound`);
  }
  const isEmpty = from !== null && to !== null &&
    (from.value > to.value || from.value === to.value && (from.isOpen || to.isOpen));
  if (isEmpty) throw schemaError(path, "no number is within its bounds: correct them");
  const range = numbersBetween({ low: from, high: to, isInteger });
  if (range !== null) return json.shared(path, range);
  throw schemaError(path, "a bound has more than 15 digits before or behind its point: round it");
}

/** The bound that says more; sign: 1 of a lower bound, -1 of an upper one. */
function tighter(
  schema: SchemaObject,
  path: string,
  { words, sign }: { words: readonly [string, string]; sign: 1 | -1 },
): Bound | null {
  const bounds = words.flatMap((word, index) => {
    const value = wordOf(schema, word);
    if (value === undefined) return [];
    if (typeof value === "number" && Number.isFinite(value)) {
      return [{ value, isOpen: index === 1 }];
    }
    throw schemaError(at(path, word), "it is no number: correct it");
  });
  if (bounds.length < 2) return bounds[0] ?? null;
  const [closed, open] = bounds;
  return sign * open.value >= sign * closed.value ? open : closed;
}

/** The integer that is the first within a bound. */
function inward(bound: Bound | null, sign: 1 | -1): Bound | null {
  if (bound === null) return null;
  const { value, isOpen } = bound;
  const whole = sign * Math.ceil(sign * value);
  return { value: whole === value && isOpen ? value + sign : whole, isOpen: false };
}
