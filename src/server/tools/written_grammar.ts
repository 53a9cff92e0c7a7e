/**
 * What calls whose arguments are no JSON are bound to: `call:name{argument:value,…}` as Gemma 4 and
 * FunctionGemma write them, `name(argument=value, …)` as Python would. Members are those of the
 * function's schema, in any order and number; their values are of the types it says. Pure.
 */
import { isJsonObject } from "../../base/json_object.ts";
import type { GrammarPart, GrammarSource } from "../../llm/types.ts";
import type { CallFormat } from "./call_format.ts";
import { ESCAPE_QUOTE, GEMMA_QUOTE } from "./gemma_arguments.ts";
import { closingOf, LINE_END, speltBy } from "./spelt_marks.ts";
import type { ToolFunction } from "./tool_plan.ts";

/** How calls are written. Where it says "terminal" that is one of GBNF's, or several. */
export interface Notation {
  /** Around a call's members, and between a name and its value. */
  readonly call: readonly [begin: string, end: string];
  readonly assign: string;
  /** Terminal between members of anything. */
  readonly comma: string;
  /** Terminals of a member's name in an object within a call, with what follows the name. */
  readonly member: (name: string) => string;
  readonly literal: (value: unknown) => string;
  /** Of "text", "boolean", "null", "argument" of a call whose schema names none, and "member". */
  readonly rules: readonly string[];
}

const GEMMA_PREFIX = "call:";

const gemmaNotation = (quote: string): Notation => ({
  call: ["{", "}"],
  assign: ":",
  comma: `","`,
  member: (name) => `${quoted(name)} ":"`,
  literal: (value) =>
    quoted(typeof value === "string" ? quote + value + quote : JSON.stringify(value)),
  rules: [
    ...textRules(quote),
    `boolean ::= "true" | "false"`,
    `null ::= "null"`,
    `argument ::= member`,
    `member ::= [^<:,{}\\[\\]\\x00-\\x20] [^<:,{}\\[\\]\\x00-\\x1f]* ":" value`,
  ],
});

/**
 * A text between two marks that begin with "<", which they have nowhere else. It may have any part
 * of a mark, at its end, too, but no mark.
 */
function textRules(quote: string): string[] {
  const rest = quote.slice(1);
  const begun = Array.from(rest.slice(0, -1), (_, i) => quoted(rest.slice(0, i + 1)));
  const other = Array.from(rest, (char, i) => {
    const excluded = `[^<${char}\\x00]`;
    return i === 0 ? excluded : `${begun[i - 1]} ${excluded}`;
  });
  return [
    `text ::= ${quoted(quote)} ([^<\\x00] | opened (${other.join(" | ")}))* (opened begun?)? ${
      quoted(quote)
    }`,
    `opened ::= "<" (begun? "<")*`,
    `begun ::= ${begun.join(" | ")}`,
  ];
}

export const PYTHON_NOTATION: Notation = {
  call: ["(", ")"],
  assign: "=",
  comma: `"," " "?`,
  member: (name) => `(${eitherQuotes(name)}) ":" " "?`,
  literal: (value) => {
    if (typeof value === "string") return `(${eitherQuotes(value)})`;
    const word = new Map<unknown, string>([[true, "True"], [false, "False"], [null, "None"]])
      .get(value);
    const json = quoted(JSON.stringify(value));
    return word === undefined ? json : `(${quoted(word)} | ${json})`;
  },
  rules: [
    `text ::= "\\"" ([^"\\\\\\x00] | escape)* "\\"" | "'" ([^'\\\\\\x00] | escape)* "'"`,
    `escape ::= "\\\\" (["'\\\\/bfnrt] | "u" [0-9a-fA-F]{4})`,
    `boolean ::= "True" | "False" | "true" | "false"`,
    `null ::= "None" | "null"`,
    `argument ::= [A-Za-z_] [A-Za-z0-9_]* "=" value`,
    `member ::= text ":" " "? value`,
  ],
};

/** Rules that hold whatever the notation. */
const VALUE_RULES = [
  `value ::= text | number | boolean | null | array | object`,
  `object ::= "{" (member (comma member)*)? "}"`,
  `array ::= "[" (value (comma value)*)? "]"`,
  `number ::= integer ("." [0-9]+)? ([eE] [-+]? [0-9]+)?`,
  `integer ::= "-"? ("0" | [1-9] [0-9]*)`,
];

/** Of more required members the first ones are insisted on: each doubles the rules. */
const REQUIRED_MAX = 4;

export interface WrittenBound {
  readonly format: CallFormat;
  /** More than one call may be made. */
  readonly isParallel: boolean;
  /** The first call is begun, with its prefix. Else the grammar holds behind its opening. */
  readonly isBegun: boolean;
}

type Source = GrammarSource & { readonly kind: "parts" };

/** Calls from the first one's name, or from behind what opens it, to their end. */
export function gemmaGrammar(
  functions: readonly ToolFunction[],
  { format, isParallel, isBegun }: WrittenBound,
): Source {
  const { open, close, controls = new Map<number, string>(), gemmaQuote = GEMMA_QUOTE } = format;
  const names = new Set(controls.values());
  const call = writtenCalls(functions, gemmaNotation(gemmaQuote));
  const between = { all: [speltBy(close, names), speltBy(open, names), GEMMA_PREFIX] };
  const calls = { repeat: call, between, min: 1, ...(!isParallel && { max: 1 }) };
  const prefix = isBegun ? [] : [GEMMA_PREFIX];
  return { kind: "parts", parts: { all: [...prefix, calls, closingOf(format)] } };
}

/** A list of calls, and what closes it. */
export function pythonGrammar(
  functions: readonly ToolFunction[],
  { format, isParallel }: WrittenBound,
): Source {
  const call = writtenCalls(functions, PYTHON_NOTATION);
  const between = { all: [",", { repeat: " ", max: 1 }] };
  const calls = { repeat: call, between, min: 1, ...(!isParallel && { max: 1 }) };
  return { kind: "parts", parts: { all: [LINE_END, "[", calls, "]", closingOf(format)] } };
}

/** One call of any of the functions. */
function writtenCalls(functions: readonly ToolFunction[], notation: Notation): GrammarPart {
  return writtenBy(notation, (rules) => {
    const calls = functions.map(({ name, parameters }) =>
      `${quoted(name)} ${rules.objectOf(parameters, { isCall: true })}`
    );
    return calls.join(" | ");
  });
}

/** What follows a function's name, to its end. */
export function writtenArguments(parameters: unknown, notation: Notation): GrammarPart {
  return writtenBy(notation, (rules) => rules.objectOf(parameters, { isCall: true }));
}

function writtenBy(notation: Notation, write: (rules: Rules) => string): GrammarPart {
  const rules = new Rules(notation);
  const root = write(rules);
  const lines = [...rules.lines, ...VALUE_RULES, `comma ::= ${notation.comma}`, ...notation.rules];
  return { grammar: { kind: "gbnf", text: [`root ::= ${root}`, ...lines].join("\n") } };
}

const NO_WORDS: Readonly<Record<string, unknown>> = {};

interface Around {
  readonly begin: string;
  readonly end: string;
}

class Rules {
  readonly lines: string[] = [];
  readonly #notation: Notation;
  #count = 0;

  constructor(notation: Notation) {
    this.#notation = notation;
  }

  /** A schema's object: with members that it names, where it names some. */
  objectOf(schema: unknown, { isCall = false } = {}): string {
    const { call, assign, member } = this.#notation;
    const [begin, end] = isCall ? call : ["{", "}"];
    const { properties, additionalProperties } = isJsonObject(schema) ? schema : NO_WORDS;
    const members = isJsonObject(properties) ? properties : NO_WORDS;
    const names = Object.keys(members);
    if (names.length === 0) {
      if (additionalProperties === false) return `${quoted(begin)} ${quoted(end)}`;
      if (!isCall) return "object";
      return `${quoted(begin)} (argument (comma argument)*)? ${quoted(end)}`;
    }
    const said = isJsonObject(schema) && Array.isArray(schema.required) ? schema.required : [];
    const required = names.filter((name) => said.includes(name)).slice(0, REQUIRED_MAX);
    const memberOf = (name: string) => {
      const key = isCall ? `${quoted(name)} ${quoted(assign)}` : member(name);
      return `${key} ${this.#valueOf(members[name])}`;
    };
    const optional = names.filter((name) => !required.includes(name)).map(memberOf);
    return this.#membersOf({ required: required.map(memberOf), optional, around: { begin, end } });
  }

  /** Members in any order: a rule for each set of the required ones that were there. */
  #membersOf(
    { around: { begin, end }, ...members }: {
      readonly required: readonly string[];
      readonly optional: readonly string[];
      readonly around: Around;
    },
  ): string {
    const optional = members.optional.length > 0 ? this.#add(members.optional.join(" | ")) : null;
    const required = members.required.map((each) => this.#add(each));
    const sets = 1 << required.length;
    const [next, behind] = [0, 1].map(() => Array.from({ length: sets }, () => this.#name()));
    for (let set = 0; set < sets; set++) {
      const isFull = set === sets - 1;
      const nexts = [
        ...required.flatMap((name, i) =>
          (set >> i & 1) === 1 ? [] : [`${name} ${behind[set | 1 << i]}`]
        ),
        ...optional === null ? [] : [`${optional} ${behind[set]}`],
      ];
      const ends = [
        ...isFull ? [quoted(end)] : [],
        ...nexts.length > 0 ? [`comma ${next[set]}`] : [],
      ];
      if (nexts.length > 0) this.#set(next[set], nexts.join(" | "));
      this.#set(behind[set], ends.join(" | "));
    }
    return this.#add(
      required.length === 0
        ? `${quoted(begin)} (${quoted(end)} | ${next[0]})`
        : `${quoted(begin)} ${next[0]}`,
    );
  }

  /** A value of the type that a schema says in plain words; of others any. */
  #valueOf(schema: unknown): string {
    if (!isJsonObject(schema)) return "value";
    const { type, enum: choices, items } = schema;
    if (Array.isArray(choices) && choices.length > 0 && choices.every(isPlain)) {
      return `(${choices.map(this.#notation.literal).join(" | ")})`;
    }
    switch (type) {
      case "string":
        return "text";
      case "integer":
      case "number":
      case "boolean":
      case "null":
        return type;
      case "array": {
        const item = this.#valueOf(items);
        return item === "value" ? "array" : this.#add(`"[" (${item} (comma ${item})*)? "]"`);
      }
      case "object":
        return this.objectOf(schema);
      default:
        return "value";
    }
  }

  /** A rule's name; what it says may come later. */
  #name(): string {
    return `r${this.#count++}`;
  }

  #set(name: string, body: string): void {
    this.lines.push(`${name} ::= ${body}`);
  }

  #add(body: string): string {
    const name = this.#name();
    this.#set(name, body);
    return name;
  }
}

function isPlain(value: unknown): boolean {
  if (typeof value !== "string") return typeof value !== "object";
  return ![GEMMA_QUOTE, ESCAPE_QUOTE].some((quote) => value.includes(quote));
}

/** A text in double or in single quotes; where it has some itself, as JSON has it. */
function eitherQuotes(text: string): string {
  const json = JSON.stringify(text);
  const isPlain = json === `"${text}"` && !text.includes("'");
  return isPlain ? `${quoted(json)} | ${quoted(`'${text}'`)}` : quoted(json);
}

/** A text as a terminal of a grammar. */
export function quoted(text: string): string {
  const escaped = text.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\r", "\\r");
  return `"${escaped}"`;
}
