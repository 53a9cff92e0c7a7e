/**
 * A call that must be made: how it begins, which is said for the model so that what follows is what
 * it is used to, and what that is bound to. Pure.
 */
import type { GrammarSource } from "../../llm/types.ts";
import type { CallFormat } from "./call_format.ts";
import { recipientsGrammar } from "./lead_grammar.ts";
import { markupGrammar } from "./markup_grammar.ts";
import {
  forcedSchema,
  listGrammar,
  namedGrammar,
  namesGrammar,
  taggedGrammar,
} from "./tool_grammar.ts";
import type { ToolFunction, ToolPlan } from "./tool_plan.ts";
import { gemmaGrammar, pythonGrammar } from "./written_grammar.ts";

type Functions = readonly ToolFunction[];

export function requiredCall(
  functions: Functions,
  format: CallFormat,
  isParallel: boolean,
): Pick<ToolPlan, "opening" | "grammar" | "looserGrammar"> {
  const bound = (by: Functions) => boundCall(by, format, isParallel);
  const loose = looserFunctions(functions);
  return {
    opening: openingOf(format),
    grammar: bound(functions),
    ...(loose && {
      looserGrammar: format.markup ? namesGrammar(functions, format) : bound(loose),
    }),
  };
}

/** The functions without their schemas: those are help, not law, unless it is said (null). */
export function looserFunctions(functions: Functions): Functions | null {
  if (functions.some(({ strict }) => strict)) return null;
  return functions.map((each) => ({ ...each, parameters: undefined }));
}

function openingOf(
  { open, close, named, isList, markup, textEnd, textLead, ...format }: CallFormat,
): string {
  const { gemmaQuote, hasPythonCalls } = format;
  if (textEnd !== undefined && !markup) return textEnd + open;
  if (markup) {
    const { isTight, name: [before] } = markup;
    return `${textEnd ?? ""}${open}${isTight || before === "" ? "" : "\n"}${before}`;
  }
  // The template has opened it.
  if (textLead !== undefined) return "";
  if (named && !isList) return open + named.begin;
  if (gemmaQuote) return `${open}call:`;
  return open === "" || isList || hasPythonCalls || close === "" ? open : `${open}\n`;
}

function boundCall(functions: Functions, format: CallFormat, isParallel: boolean): GrammarSource {
  const { open, named, isList, textLead, hasPythonCalls, gemmaQuote, markup } = format;
  const how = { format, isParallel, isBegun: true };
  if (markup) return markupGrammar(functions, format, how);
  if (textLead !== undefined) return recipientsGrammar(functions, { ...how, isDue: true });
  if (named && !isList) return namedGrammar(functions, format, how);
  if (gemmaQuote) return gemmaGrammar(functions, how);
  if (hasPythonCalls) return pythonGrammar(functions, how);
  if (isList && open !== "") return listGrammar(functions, format, isParallel);
  if (open !== "") return taggedGrammar(functions, format, isParallel);
  return { kind: "jsonSchema", schema: forcedSchema(functions, format, isParallel) };
}
