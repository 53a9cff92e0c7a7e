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
const SOME_BLANKS: GrammarPart = { grammar: { kind: "gbnf", text: "root ::= [ \\t\\r\\n]{0,20}" } };
/** What parts bare calls. */
const PARTING: GrammarPart = { grammar: { kind: "gbnf", text: "root ::= [ \\t\\r\\n;,]{0,20}" } };
/** The bracket that begins the arguments has been read. */
const BEGUN_NOTATION: Notation = { ...PYTHON_NOTATION, call: ["", ")"] };
/** What models call the arguments, whatever their template does. */
const ARGUMENT_KEYS = ["arguments", "parameters"];

/**
 * An answer that is text, or from its beginning on calls; behind the name of a function, and of its
 * arguments, these are bound to its schema.
 */
export function bareGrammar(
  functions: Functions,
  format: CallFormat,
  isParallel: boolean,
): GrammarSource {
  const calls = functions.flatMap((each) => bareCalls(each, format));
  const again: GrammarPart = { anyOf: calls.map(({ head, rest }) => ({ all: [...head, rest] })) };
  const more: GrammarPart[] = isParallel ? [{ repeat: { all: [PARTING, again] } }] : [];
  const starts = bareStarts(format);
  const leads = calls.flatMap(({ lead, rest }) =>
    starts.map((start): GrammarLead => ({
      lead: [...start, BLANK, ...lead],
      then: { all: [rest, ...more] },
    }))
  );
  return { kind: "parts", parts: { leads, isAtStart: true } };
}

interface BareCall {
  readonly lead: GrammarLead["lead"];
  /** The same as a grammar has it. */
  readonly head: readonly GrammarPart[];
  /** What follows either, to the call's end. */
  readonly rest: GrammarPart;
}

function bareCalls(
  { name, parameters = { type: "object" } }: ToolFunction,
  { nameKey = "name", hasDottedCalls }: CallFormat,
): BareCall[] {
  const schema: GrammarPart = { grammar: { kind: "jsonSchema", schema: parameters } };
  const rest: GrammarPart = { all: [SOME_BLANKS, schema, SOME_BLANKS, "}"] };
  const objects = ARGUMENT_KEYS.map((key): BareCall => {
    const [own, called, args] = [nameKey, name, key].map((text) => JSON.stringify(text));
    const texts = ["{", own, ":", called, ",", args];
    return {
      lead: [...texts.flatMap((text) => [text, BLANK]), ":"],
      head: [...texts.flatMap((text) => [text, SOME_BLANKS]), ":"],
      rest,
    };
  });
  if (!hasDottedCalls) return objects;
  const dotted = `${name}.call(`;
  const written = writtenArguments(parameters, BEGUN_NOTATION);
  return [...objects, { lead: [dotted], head: [dotted], rest: written }];
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
  const calls = functions.map(({ name, parameters = { type: "object" } }) => {
    const args: GrammarPart = { grammar: { kind: "jsonSchema", schema: parameters } };
    return { name, args, whole: { all: [name, behind, args] } };
  });
  const anyCall = { anyOf: calls.map(({ whole }) => whole) };
  const more: GrammarPart[] = isParallel ? [{ repeat: { all: [LINE_END, open, anyCall] } }] : [];
  const called: GrammarPart = { all: [anyCall, ...more] };
  if (isDue) return { kind: "parts", parts: called };
  const leads = calls.map(({ name, args }): GrammarLead => ({
    lead: [`${open}${name}${behind}`],
    then: { all: [args, ...more] },
  }));
  const said: GrammarPart = { all: [textLead, text ?? { leads }] };
  return { kind: "parts", parts: { anyOf: [said, called] } };
}
