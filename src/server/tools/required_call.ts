/**
 * A call that must be made: how it begins, which is said for the model so that what follows is what
 * it is used to, and what that is bound to. Pure.
 */
import type { GrammarSource } from "../../llm/types.ts";
import type { CallFormat } from "./call_format.ts";
import { gemmaGrammar } from "./gemma_grammar.ts";
import { markupGrammar } from "./markup_grammar.ts";
import { forcedSchema, namedGrammar, namesGrammar, taggedGrammar } from "./tool_grammar.ts";
import type { ToolFunction, ToolPlan } from "./tool_plan.ts";

type Functions = readonly ToolFunction[];

export function requiredCall(
  functions: Functions,
  format: CallFormat,
  isParallel: boolean,
): Pick<ToolPlan, "opening" | "grammar" | "looserGrammar"> {
  const bound = (by: Functions) => boundCall(by, format, isParallel);
  const loose = looserFunctions(functions);
  const [, behind] = format.markup?.name ?? [];
  return {
    opening: openingOf(format),
    grammar: bound(functions),
    ...(loose && {
      looserGrammar: behind === undefined ? bound(loose) : namesGrammar(functions, behind),
    }),
  };
}

/** The functions without their schemas: those are help, not law, unless it is said (null). */
export function looserFunctions(functions: Functions): Functions | null {
  if (functions.some(({ strict }) => strict)) return null;
  return functions.map((each) => ({ ...each, parameters: undefined }));
}

function openingOf(format: CallFormat): string {
  const { open, close, named, isList, markup, hasGemmaCalls } = format;
  if (markup) return `${open}${markup.name[0] === "" ? "" : "\n"}${markup.name[0]}`;
  if (named && !isList) return open + named.begin;
  if (hasGemmaCalls) return `${open}call:`;
  return open === "" || isList || close === "" ? open : `${open}\n`;
}

function boundCall(functions: Functions, format: CallFormat, isParallel: boolean): GrammarSource {
  const { close, named, isList, hasPythonCalls, hasGemmaCalls, markup } = format;
  if (markup) return markupGrammar(functions, format, { isParallel, isBegun: true });
  if (named && !isList) return namedGrammar(functions, format, { isParallel, isBegun: true });
  if (hasGemmaCalls) return gemmaGrammar(functions, { format, isParallel, isBegun: true });
  if (close !== "" && !isList && !hasPythonCalls) {
    return taggedGrammar(functions, format, isParallel);
  }
  return { kind: "jsonSchema", schema: forcedSchema(functions, format, isParallel) };
}
