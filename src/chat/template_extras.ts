/**
 * What chat templates use of Jinja and Python that @huggingface/jinja does not have: some filters,
 * methods of lists and texts, mappings by number, lists that are missing. Works on values; prices
 * are the interpreter's business.
 */
import { Environment } from "@huggingface/jinja";
import { SPECIAL_TOKEN_BREAKER } from "../tokenizer/types.ts";
import { isContainer, type NodeFields, type TemplateValue, textOf } from "./template_nodes.ts";

type ValueClass = new (value: unknown) => TemplateValue;
type Call = (args: readonly TemplateValue[]) => TemplateValue;

const classOf = (value: unknown) => new Environment().set("x", value).constructor as ValueClass;
const TextValue = classOf("");
const NumberValue = classOf(0);
const ListValue = classOf([]);
const NullValue = classOf(null);
const UndefinedValue = classOf(undefined);
const TruthValue = classOf(true);
const MethodValue = classOf(() => null);

/** What the interpreter lends to methods. */
export interface MethodHost {
  /** Pays for a text of `count` times `chars` that is about to be made. */
  payForText(count: number, chars: number): void;
  /** Forgets what was known of the sizes of values: one of them has changed. */
  onChange(): void;
}

/** Filters that look at each item of a list, and see none in what is missing. */
const LIST_FILTERS: ReadonlySet<string> = new Set([
  "map",
  "reject",
  "rejectattr",
  "select",
  "selectattr",
]);

/** Whether a node loops over `child`, so that nothing at all may stand for an empty list. */
export function isLoopedOver(child: unknown, parent: NodeFields): boolean {
  return parent.type === "For" &&
    (child === parent.iterable || child === parent.iterable?.lhs);
}

/** Jinja's `none` and what is not defined; interpreters of Python loop over neither or both. */
export function isMissing(value: TemplateValue): boolean {
  return value.type === "NullValue" || value.type === "UndefinedValue";
}

export function undefinedValue(): TemplateValue {
  return new UndefinedValue(undefined);
}

export function listOf(items: readonly TemplateValue[]): TemplateValue {
  return new ListValue([...items]);
}

/** Filters of texts, to which what is not there is an empty one. */
const TEXT_FILTERS: ReadonlySet<string> = new Set(["trim", "lower", "upper", "capitalize"]);

/** A filter that the package does not have, of this operand; null: it is the package's. */
export function applyExtraFilter(name: string, operand: TemplateValue): TemplateValue | null {
  if (LIST_FILTERS.has(name) && isMissing(operand)) return listOf([]);
  if (TEXT_FILTERS.has(name) && operand.type === "UndefinedValue") return new TextValue("");
  if (name === "string" && (isContainer(operand) || operand.type === "NullValue")) {
    return new TextValue(pythonText(operand));
  }
  if ((name === "min" || name === "max") && Array.isArray(operand.value)) {
    return extremeOf(operand.value, name === "min" ? -1 : 1);
  }
  return null;
}

/** An escape of JSON: of the breaker, which no half of a character can be, or any other. */
const JSON_ESCAPE = /\\(?:ud800(?!\\ud[c-f])|.)/gis;

/**
 * JSON writes a SPECIAL_TOKEN_BREAKER as an escape, which the model would read: what a client wrote
 * is to stay as it was, and is dropped by the tokenizer where it is a breaker.
 */
export function withRawBreakers(json: TemplateValue): TemplateValue {
  if (json.type !== "StringValue") return json;
  const text = textOf(json);
  if (!/\\ud800/i.test(text)) return json;
  return new TextValue(
    text.replace(JSON_ESCAPE, (escape) => escape.length === 6 ? SPECIAL_TOKEN_BREAKER : escape),
  );
}

/** A container as it is written, which is JSON; anything else is as it was. */
export function asWritten(value: TemplateValue): TemplateValue {
  return isContainer(value) ? withRawBreakers(new TextValue(value.toString())) : value;
}

/** Operators of which the package does not know all operands. */
export const EXTRA_OPERATORS: ReadonlySet<unknown> = new Set(["+", "~", "in", "not in"]);

/** Operands as the package takes them: of texts, containers as written, of missing ones none. */
export function operandsOf(
  operator: unknown,
  ...operands: readonly [left: TemplateValue, right: TemplateValue]
): readonly TemplateValue[] {
  const isText = operator === "~" ||
    operator === "+" && operands.some(({ type }) => type === "StringValue");
  if (!isText) return operands;
  return operands.map((value) => {
    if (value.type === "UndefinedValue") return new TextValue("");
    const isNone = operator === "~" && value.type === "NullValue";
    return isNone ? new TextValue("None") : asWritten(value);
  });
}

/** Whether what is missing is in a list; null: it is for the package to say. */
export function missingAmong(
  operator: unknown,
  { type }: TemplateValue,
  { value: items }: TemplateValue,
): TemplateValue | null {
  if (operator !== "in" && operator !== "not in") return null;
  if (type !== "UndefinedValue" && type !== "NullValue" || !Array.isArray(items)) return null;
  const isIn = items.some((item: TemplateValue) => item.type === type);
  return new TruthValue(isIn === (operator === "in"));
}

/** The least (sign -1) or greatest (1) of numbers or texts; of nothing, none. */
function extremeOf(items: readonly TemplateValue[], sign: number): TemplateValue {
  let best: TemplateValue | null = null;
  for (const item of items) {
    if (typeof item.value !== "number" && typeof item.value !== "string") {
      throw new Error("min and max are of numbers or texts");
    }
    if (best === null || sign * compare(item.value, best.value) > 0) best = item;
  }
  return best ?? new NullValue(null);
}

function compare(a: number | string, b: unknown): number {
  const other = b as typeof a;
  return a < other ? -1 : a > other ? 1 : 0;
}

/** A value as Python's `repr` writes it. */
function pythonText(value: TemplateValue): string {
  if (value.type === "StringValue") return quoted(textOf(value));
  if (value.type === "NullValue" || value.type === "UndefinedValue") return "None";
  if (value.type === "BooleanValue") return value.value ? "True" : "False";
  if (Array.isArray(value.value)) return `[${value.value.map(pythonText).join(", ")}]`;
  if (value.value instanceof Map) {
    const members = [...value.value].map(([key, item]) => `${quoted(key)}: ${pythonText(item)}`);
    return `{${members.join(", ")}}`;
  }
  return String(value);
}

function quoted(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\t", "\\t");
  return mark + (mark === "'" ? escaped.replaceAll("'", "\\'") : escaped) + mark;
}

/** A method that the package does not have; null: nobody has it. */
export function extraMethod(
  receiver: TemplateValue,
  name: string,
  host: MethodHost,
): TemplateValue | null {
  const call = callOf(receiver, name, host);
  return call === null ? null : new MethodValue(call);
}

function callOf(receiver: TemplateValue, name: string, host: MethodHost): Call | null {
  const { value } = receiver;
  if (receiver.type === "StringValue") {
    return name === "format" ? (args) => format(textOf(receiver), args, host) : null;
  }
  if (!Array.isArray(value)) return null;
  const items: TemplateValue[] = value;
  if (name === "append") {
    return ([item]) => {
      if (item !== undefined) items.push(item);
      host.onChange();
      return new NullValue(null);
    };
  }
  if (name === "pop") {
    return ([index]) => {
      const at = typeof index?.value === "number" ? index.value : -1;
      const [item] = items.splice(at, 1);
      host.onChange();
      if (item === undefined) throw new Error("pop from an empty list, or beyond its end");
      return item;
    };
  }
  return null;
}

/** Python's `str.format` with `{}` and `{0}`; other fields stay as they are. */
function format(text: string, args: readonly TemplateValue[], host: MethodHost): TemplateValue {
  const texts = args.map((arg) => arg.type === "UndefinedValue" ? "" : String(arg.value));
  const longest = texts.reduce((most, each) => Math.max(most, each.length), 0);
  host.payForText(text.split("{").length, longest);
  let next = 0;
  return new TextValue(
    text.replace(
      /\{(\d{0,2})\}/g,
      (whole, index) => texts[index === "" ? next++ : +index] ?? whole,
    ),
  );
}

/** Entries of a mapping whose keys are numbers, as lists of two, ascending. */
export function numberedEntries(mapping: TemplateValue): TemplateValue {
  const entries = [...mapping.value as Map<string, TemplateValue>];
  return listOf(
    entries.map(([key, item]) => [Number(key), item] as const)
      .sort(([a], [b]) => a - b)
      .map(([key, item]) => listOf([new NumberValue(key), item])),
  );
}
