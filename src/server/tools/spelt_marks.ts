/** Marks of formats as parts of grammars, in which some names are those of control tokens. Pure. */
import type { GrammarMark, GrammarPart } from "../../llm/types.ts";
import type { CallFormat } from "./call_format.ts";

/** Templates differ in lines' ends, and models do. */
export const LINE_END: GrammarPart = { repeat: "\n", max: 1 };

/** A text in which some names are those of control tokens. */
export function speltBy(text: string, controls: ReadonlySet<string>): GrammarPart {
  return controls.size === 0 ? text : { all: marksIn(text, controls) };
}

/** What closes all calls; where that is a token which ends answers, the answer ends before it. */
export function closingOf({ close, controls }: CallFormat): GrammarPart {
  if (close === "") return "";
  return { repeat: { all: [LINE_END, speltBy(close, new Set(controls?.values()))] }, max: 1 };
}

/** Its pieces in order: texts, and control tokens. */
export function marksIn(text: string, controls: ReadonlySet<string>): GrammarMark[] {
  const names = [...controls].map(RegExp.escape).join("|") || "(?!)";
  const parts = text.split(new RegExp(`(${names})`)).filter((part) => part !== "");
  return parts.map((part) => controls.has(part) ? { token: part } : part);
}
