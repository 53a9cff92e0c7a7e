/**
 * What calls whose arguments are between tags are bound to: names, arguments in the order of the
 * function's schema, and of these what the schema says. Texts are free, as what tags hold is no
 * JSON. Pure.
 */
import type { GrammarPart, GrammarSource } from "../../llm/types.ts";
import type { Body } from "../known_fields.ts";
import { argumentValues } from "./argument_types.ts";
import type { CallFormat } from "./call_format.ts";
import type { Markup, TypeAttribute } from "./markup_call.ts";
import { LINE_END, marksIn, speltBy } from "./spelt_marks.ts";
import type { ToolFunction } from "./tool_plan.ts";

type Source = GrammarSource & { readonly kind: "parts" };

const NUMBER: GrammarPart = { grammar: { kind: "gbnf", text: "root ::= [0-9]{1,4}" } };

/**
 * One call, or several.
 * @param options.isBegun what comes before the first name is in the prompt.
 */
export function markupGrammar(
  functions: readonly ToolFunction[],
  { open, close, markup, controls = new Map<number, string>() }: CallFormat,
  { isParallel, isBegun = false }: { isParallel: boolean; isBegun?: boolean },
): Source {
  const { name: [before, behind], value: [, closing], end, hasNumbers, isBlock } = markup!;
  const names = new Set(controls.values());
  const spelt = (text: string) => speltBy(text, names);
  const tags: Tags = { markup: markup!, spelt, freeText: { until: marksIn(closing, names) } };
  const number: GrammarPart[] = hasNumbers ? ['" index="', NUMBER] : [];
  const call: GrammarPart = {
    anyOf: functions.map(({ name, parameters }) => ({
      all: [
        name,
        ...number,
        spelt(behind.trimEnd()),
        LINE_END,
        argumentParts(parameters, tags),
        spelt(end),
      ],
    })),
  };
  const again = isBlock ? [] : [spelt(close), LINE_END, spelt(open), LINE_END];
  const between: GrammarPart = { all: [LINE_END, ...again, spelt(before)] };
  return {
    kind: "parts",
    parts: {
      all: [
        ...(isBegun ? [] : [LINE_END, spelt(before)]),
        { repeat: call, between, min: 1, ...(!isParallel && { max: 1 }) },
        ...[LINE_END, spelt(close)],
      ],
    },
  };
}

interface Tags {
  readonly markup: Markup;
  /** A tag, in which there may be control tokens. */
  readonly spelt: (text: string) => GrammarPart;
  /** A value of any text, and what closes it. */
  readonly freeText: GrammarPart;
}

/** The arguments that the schema lists, in its order; where it lists none, any. */
function argumentParts(parameters: Body | undefined, tags: Tags): GrammarPart {
  const { properties, required } = parameters ?? {};
  if (typeof properties !== "object" || properties === null) {
    const name: GrammarPart = { grammar: { kind: "gbnf", text: 'root ::= [^\\n<>"]{1,256}' } };
    return { repeat: argumentPart(name, { value: tags.freeText }, tags) };
  }
  const due = new Set(Array.isArray(required) ? required : []);
  return {
    all: Object.entries(properties).map(([key, schema]) => {
      const part = argumentPart(key, valuePart(parameters, schema, tags), tags);
      return due.has(key) ? part : { repeat: part, max: 1 };
    }),
  };
}

/** isText: what is said of its type, where something is; undefined: either. */
function argumentPart(
  key: GrammarPart,
  { value, isText }: { readonly value: GrammarPart; readonly isText?: boolean },
  { markup, spelt }: Tags,
): GrammarPart {
  const { key: [before, behind], value: [open], type } = markup;
  const gap = open === "" ? [] : [LINE_END, open];
  const says = type === undefined ? [] : [`" ${type.name}="`, typeNames(type, isText)];
  return { all: [spelt(before), key, ...says, spelt(behind), ...gap, value, LINE_END] };
}

function typeNames({ text, others }: TypeAttribute, isText: boolean | undefined): GrammarPart {
  if (isText === true) return text;
  return { anyOf: isText === false ? others : [text, ...others] };
}

/** A value and what closes it. */
function valuePart(
  parameters: unknown,
  schema: unknown,
  { markup, spelt, freeText }: Tags,
): { readonly value: GrammarPart; readonly isText?: boolean } {
  const { value: [, close], hasLines } = markup;
  const lineEnd = hasLines ? [LINE_END] : [];
  const closed = (part: GrammarPart): GrammarPart => ({
    all: [...lineEnd, part, ...lineEnd, spelt(close)],
  });
  const values = argumentValues(parameters, schema);
  if (values.kind === "text") return { value: freeText, ...values.isSure && { isText: true } };
  if (values.kind === "json") {
    const { schema } = values;
    return { value: closed({ grammar: { kind: "jsonSchema", schema } }), isText: false };
  }
  const listed = values.values;
  const isText = listed.every((each) => typeof each === "string");
  const isOther = listed.every((each) => typeof each !== "string");
  return {
    value: closed({
      anyOf: listed.map((each) => typeof each === "string" ? each : JSON.stringify(each)),
    }),
    ...(isText || isOther) && { isText },
  };
}
