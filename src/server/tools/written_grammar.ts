/**
 * What calls as Gemma 4 writes them are bound to: `call:name{argument:value,…}`. Members are those
 * of the function's schema, in any order and number; their values are of the types it says.
 */
import type { GrammarSource } from "../../llm/types.ts";
import type { CallFormat } from "./call_format.ts";
import type { ToolFunction } from "./tool_plan.ts";

const PREFIX = "call:";
/** Of more required members the first ones are insisted on: each doubles the rules. */
const REQUIRED_MAX = 4;
/** What texts stand between. */
const QUOTE = '<|"|>';

export interface GemmaBound {
  readonly format: CallFormat;
  /** More than one call may be made. */
  readonly isParallel: boolean;
  /** The first call is begun, with its prefix. Else the grammar holds behind its opening. */
  readonly isBegun: boolean;
}

/** Calls from the first one's name, or from what opens it, to their end. */
export function gemmaGrammar(
  functions: readonly ToolFunction[],
  { format: { open, close }, isParallel, isBegun }: GemmaBound,
): GrammarSource {
  const rules = new Rules();
  const calls = functions.map(({ name, parameters }) =>
    `${quoted(name)} ${objectOf(parameters, rules)}`
  );
  const more = isParallel ? ` (${quoted(open + PREFIX)} call ${quoted(close)})*` : "";
  // Where what closes calls is a marker without text, the answer ends before it.
  const root = `${isBegun ? "" : `${quoted(PREFIX)} `}call (${quoted(close)}${more})?`;
  return {
    kind: "gbnf",
    ...!isBegun && { trigger: open },
    text: [
      `root ::= ${root}`,
      `call ::= ${calls.join(" | ")}`,
      ...rules.lines,
      ...VALUE_RULES,
    ].join("\n"),
  };
}

const VALUE_RULES = [
  `value ::= text | number | boolean | "null" | array | object`,
  `object ::= "{" (member ("," member)*)? "}"`,
  `member ::= [^<:,{}\\[\\]\\x00-\\x20] [^<:,{}\\[\\]\\x00-\\x1f]* ":" value`,
  `array ::= "[" (value ("," value)*)? "]"`,
  // What is between marks may have any part of a mark, but no mark.
  `text ::= ${quoted(QUOTE)} ([^<\\x00] | "<"+ ([^<|\\x00] | "|" [^"\\x00]))* "<"* ${
    quoted(QUOTE)
  }`,
  `number ::= integer ("." [0-9]+)? ([eE] [-+]? [0-9]+)?`,
  `integer ::= "-"? ("0" | [1-9] [0-9]*)`,
  `boolean ::= "true" | "false"`,
];

class Rules {
  readonly lines: string[] = [];
  #count = 0;

  /** A rule's name; what it says may come later. */
  name(): string {
    return `r${this.#count++}`;
  }

  set(name: string, body: string): void {
    this.lines.push(`${name} ::= ${body}`);
  }

  add(body: string): string {
    const name = this.name();
    this.set(name, body);
    return name;
  }
}

/** A schema's object: with members that it names, where it names some. */
function objectOf(schema: unknown, rules: Rules): string {
  const properties = isObject(schema) && isObject(schema.properties) ? schema.properties : {};
  const names = Object.keys(properties);
  if (names.length === 0) return "object";
  const said = isObject(schema) && Array.isArray(schema.required) ? schema.required : [];
  const required = names.filter((name) => said.includes(name)).slice(0, REQUIRED_MAX);
  const member = (name: string) => `${quoted(name)} ":" ${valueOf(properties[name], rules)}`;
  const optional = names.filter((name) => !required.includes(name)).map(member);
  return membersOf({ required: required.map(member), optional }, rules);
}

/** Members in any order: a rule for each set of the required ones that were there. */
function membersOf(
  members: Record<"required" | "optional", readonly string[]>,
  rules: Rules,
): string {
  const optional = members.optional.length > 0 ? rules.add(members.optional.join(" | ")) : null;
  const required = members.required.map((each) => rules.add(each));
  const sets = 1 << required.length;
  const [next, behind] = [0, 1].map(() => Array.from({ length: sets }, () => rules.name()));
  for (let set = 0; set < sets; set++) {
    const isFull = set === sets - 1;
    const nexts = [
      ...required.flatMap((name, i) =>
        (set >> i & 1) === 1 ? [] : [`${name} ${behind[set | 1 << i]}`]
      ),
      ...optional === null ? [] : [`${optional} ${behind[set]}`],
    ];
    const ends = [...isFull ? [`"}"`] : [], ...nexts.length > 0 ? [`"," ${next[set]}`] : []];
    if (nexts.length > 0) rules.set(next[set], nexts.join(" | "));
    rules.set(behind[set], ends.join(" | "));
  }
  return rules.add(required.length === 0 ? `"{" ("}" | ${next[0]})` : `"{" ${next[0]}`);
}

/** A value of the type that a schema says in plain words; of others any. */
function valueOf(schema: unknown, rules: Rules): string {
  if (!isObject(schema)) return "value";
  const { type, enum: choices, items } = schema;
  if (Array.isArray(choices) && choices.length > 0 && choices.every(isPlain)) {
    return `(${choices.map(literal).join(" | ")})`;
  }
  switch (type) {
    case "string":
      return "text";
    case "integer":
    case "number":
    case "boolean":
      return type;
    case "null":
      return `"null"`;
    case "array": {
      const item = valueOf(items, rules);
      return item === "value" ? "array" : rules.add(`"[" (${item} ("," ${item})*)? "]"`);
    }
    case "object":
      return objectOf(schema, rules);
    default:
      return "value";
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isPlain(value: unknown): boolean {
  return typeof value === "string" ? !value.includes(QUOTE) : typeof value !== "object";
}

function literal(value: unknown): string {
  return quoted(typeof value === "string" ? QUOTE + value + QUOTE : JSON.stringify(value));
}

/** A text as a terminal of a grammar. */
function quoted(text: string): string {
  const escaped = text.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\r", "\\r");
  return `"${escaped}"`;
}
