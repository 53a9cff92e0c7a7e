/**
 * What calls are bound to that nothing but their own beginning tells from text: bare objects, and
 * parts of an answer that are for a function. What begins otherwise stays free. Pure.
 */
import type { GrammarLead, GrammarMark, GrammarPart, GrammarSource } from "../../llm/types.ts";
import type { CallFormat } from "./call_format.ts";
import { LINE_END } from "./spelt_marks.ts";
import type { ToolFunction } from "./tool_plan.ts";
import { type Notation, PYTHON_NOTATION, writtenArguments } from "./written_grammar.ts";

type Functions = readonly ToolFunction[];

const BLANK = { isBlank: true } as const;
/** As JSON is written: nothing, a space, or the beginning of an indented line. */
const SOME_BLANKS: GrammarPart = {
  grammar: { kind: "gbnf", text: 'root ::= (" " | "\\n" [ \\t]{0,20})?' },
};
/** What parts bare calls. */
const PARTING: GrammarPart = { grammar: { kind: "gbnf", text: "root ::= [;,]? [ \\n]{0,2}" } };
/** The bracket that begins the arguments has been read. */
const BEGUN_NOTATION: Notation = { ...PYTHON_NOTATION, call: ["", ")"] };
const ANY_OBJECT = { type: "object" };

/**
 * An answer that is text, or from its beginning on calls; behind the name of a function, and of its
 * arguments, these are bound to its schema.
 */
export function bareGrammar(
  functions: Functions,
  format: CallFormat,
  isParallel: boolean,
): GrammarSource {
  const starts = bareStarts(format).map((start) => [...start, BLANK]);
  const calls = functions.map((each, index) => new BareCall(each, `${index}`, format));
  const leads = calls.flatMap((call) =>
    call.leads.flatMap(({ lead, then }) =>
      starts.map((start): GrammarLead => ({ lead: [...start, ...lead], then }))
    )
  );
  const again: GrammarPart = { anyOf: calls.flatMap((call) => call.again) };
  return {
    kind: "parts",
    named: Object.assign({ key: keyPart(format) }, ...calls.map(({ named }) => named)),
    parts: {
      leads,
      isAtStart: true,
      ...(isParallel && { behind: { repeat: { all: [PARTING, again] } } }),
    },
  };
}

/** What a model calls the arguments: what its template does, or where that says nothing, either. */
function keysOf({ name, argumentsKey }: CallFormat): readonly string[] {
  return name === "json" ? ["arguments", "parameters"] : [argumentsKey];
}

/** From behind a function's name to the arguments. */
function keyPart(format: CallFormat): GrammarPart {
  const keys = { anyOf: keysOf(format).map((key) => JSON.stringify(key)) };
  return { all: [SOME_BLANKS, ",", SOME_BLANKS, keys, SOME_BLANKS, ":"] };
}

/** How a call of a function begins an answer, and how it follows another one. */
class BareCall {
  readonly leads: readonly GrammarLead[];
  readonly again: readonly GrammarPart[];
  /** Parts that these name. */
  readonly named: Record<string, GrammarPart> = {};

  constructor({ name, parameters }: ToolFunction, id: string, format: CallFormat) {
    const { nameKey = "name", hasDottedCalls } = format;
    const [own, called] = [nameKey, name].map((text) => JSON.stringify(text));
    const any = parameters === undefined ? "any" : id;
    const args: GrammarPart = { grammar: { kind: "jsonSchema", schema: parameters ?? ANY_OBJECT } };
    this.named[any] = { all: [SOME_BLANKS, args, SOME_BLANKS, "}"] };
    // Behind its name it may still be some other object.
    this.named[`${any}.rest`] = {
      leads: keysOf(format).map((key) => ({
        lead: [BLANK, ",", BLANK, JSON.stringify(key), BLANK, ":"],
        then: { part: any },
      })),
      isAtStart: true,
    };
    const texts = ["{", own, ":"];
    const object: GrammarLead = {
      lead: [...texts.flatMap((text) => [text, BLANK]), called],
      then: { part: `${any}.rest` },
    };
    const head = texts.flatMap((text) => [text, SOME_BLANKS]);
    const next: GrammarPart = { all: [...head, called, { part: "key" }, { part: any }] };
    // The bracket of the arguments tells it from a text.
    const dotted = `${name}.call(`;
    const then = { part: `${any}.call` };
    if (hasDottedCalls) this.named[then.part] = writtenArguments(parameters, BEGUN_NOTATION);
    this.leads = [object, ...hasDottedCalls ? [{ lead: [dotted], then }] : []];
    this.again = [next, ...hasDottedCalls ? [{ all: [dotted, then] }] : []];
  }
}

/** What may stand before the first call. */
function bareStarts({ bareMark, controls }: CallFormat): (readonly GrammarMark[])[] {
  if (bareMark === undefined) return [[]];
  const isControl = [...controls?.values() ?? []].includes(bareMark);
  return [[], [isControl ? { token: bareMark } : bareMark]];
}

export interface RecipientsBound {
  readonly format: CallFormat;
  readonly isParallel: boolean;
  /** The answer is a call. */
  readonly isDue?: boolean;
  /** What text for people is bound to; left out: nothing. */
  readonly text?: GrammarPart;
}

/**
 * An answer in parts, of which the prompt has opened the first: each is for a function, and bound
 * to its schema, or text, in which calls may follow.
 */
export function recipientsGrammar(
  functions: Functions,
  { format: { open, textLead = "", named }, isParallel, isDue = false, text }: RecipientsBound,
): GrammarSource {
  const behind = named!.behind;
  const calls = functions.map(({ name, parameters = { type: "object" } }, index) => {
    const args: GrammarPart = { grammar: { kind: "jsonSchema", schema: parameters } };
    return { name, id: `${index}`, args };
  });
  const anyCall = { anyOf: calls.map(({ name, id }) => ({ all: [name, behind, { part: id }] })) };
  const more: GrammarPart = isParallel ? { repeat: { all: [LINE_END, open, anyCall] } } : "";
  const called: GrammarPart = { all: [anyCall, { part: "more" }] };
  const leads = calls.map(({ name, id }): GrammarLead => ({
    lead: [`${open}${name}${behind}`],
    then: { part: id },
  }));
  const said: GrammarPart = { all: [textLead, text ?? { leads, behind: { part: "more" } }] };
  return {
    kind: "parts",
    named: { more, ...Object.fromEntries(calls.map(({ id, args }) => [id, args])) },
    parts: isDue ? called : { anyOf: [said, called] },
  };
}
