/**
 * What calls whose arguments are between tags are bound to: names, arguments in the order of the
 * function's schema, and of these what the schema says. Texts are free, as what tags hold is no
 * JSON. Pure.
 */
import type { GrammarPart, GrammarSource } from "../../llm/types.ts";
import type { Body } from "../known_fields.ts";
import { argumentValues } from "./argument_types.ts";
import type { CallFormat } from "./call_format.ts";
import type { Markup } from "./markup_call.ts";
import type { ToolFunction } from "./tool_plan.ts";

type Source = GrammarSource & { readonly kind: "parts" };

/** Templates differ in lines' ends, and models do. */
export const LINE_END: GrammarPart = { repeat: "\n", max: 1 };

/**
 * One call, or several.
 * @param options.isBegun what comes before the first name is in the prompt.
 */
export function markupGrammar(
  functions: readonly ToolFunction[],
  { open, close, markup }: CallFormat,
  { isParallel, isBegun = false }: { isParallel: boolean; isBegun?: boolean },
): Source {
  const { name: [before, behind], value: [, closing], end, isBlock } = markup!;
  const tags: Tags = { ...markup!, freeText: { until: closing } };
  const call: GrammarPart = {
    anyOf: functions.map(({ name, parameters }) => ({
      all: [name, behind.trimEnd(), LINE_END, argumentParts(parameters, tags), end],
    })),
  };
  const again = isBlock ? [] : [close, LINE_END, open, LINE_END];
  const between: GrammarPart = { all: [LINE_END, ...again, before] };
  return {
    kind: "parts",
    parts: {
      all: [
        ...(isBegun ? [] : [LINE_END, before]),
        { repeat: call, between, min: 1, ...(!isParallel && { max: 1 }) },
        ...[LINE_END, close],
      ],
    },
  };
}

interface Tags extends Markup {
  /** A value of any text, and what closes it. */
  readonly freeText: GrammarPart;
}

/** The arguments that the schema lists, in its order; where it lists none, any. */
function argumentParts(parameters: Body | undefined, tags: Tags): GrammarPart {
  const { properties, required } = parameters ?? {};
  if (typeof properties !== "object" || properties === null) {
    const name: GrammarPart = { grammar: { kind: "gbnf", text: 'root ::= [^\\n<>"]{1,256}' } };
    return { repeat: argumentPart(name, tags.freeText, tags) };
  }
  const due = new Set(Array.isArray(required) ? required : []);
  return {
    all: Object.entries(properties).map(([key, schema]) => {
      const part = argumentPart(key, valuePart(parameters, schema, tags), tags);
      return due.has(key) ? part : { repeat: part, max: 1 };
    }),
  };
}

function argumentPart(key: GrammarPart, value: GrammarPart, tags: Tags): GrammarPart {
  const { key: [before, behind], value: [open] } = tags;
  const gap = open === "" ? [] : [LINE_END, open];
  return { all: [before, key, behind, ...gap, value, LINE_END] };
}

/** A value and what closes it. */
function valuePart(parameters: unknown, schema: unknown, tags: Tags): GrammarPart {
  const { value: [, close], hasLines } = tags;
  const lineEnd = hasLines ? [LINE_END] : [];
  const closed = (part: GrammarPart): GrammarPart => ({
    all: [...lineEnd, part, ...lineEnd, close],
  });
  const values = argumentValues(parameters, schema);
  if (values.kind === "text") return tags.freeText;
  if (values.kind === "json") {
    return closed({ grammar: { kind: "jsonSchema", schema: values.schema } });
  }
  return closed({
    anyOf: values.values.map((each) => typeof each === "string" ? each : JSON.stringify(each)),
  });
}
