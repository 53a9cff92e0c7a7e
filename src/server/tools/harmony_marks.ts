/**
 * Harmony, the form in which OpenAI's open models write: an answer is messages, each with a head
 * that says whom it is for and on which channel it is. Control tokens mark their parts. Which of a
 * model's tokens they are; knows nothing of requests.
 */
import type { LanguageModel } from "../../llm/types.ts";
import { controlMarks } from "./control_marks.ts";

/** What a mark does: it begins a head, names a part of it, begins the message, or ends it. */
export type HarmonyMark = "start" | "channel" | "constrain" | "message" | "end";

/** The mark that a token is. */
export type HarmonyMarks = ReadonlyMap<number, HarmonyMark>;

/** The texts of marks; the last two end an answer, too, unless it is told not to end. */
export const MARK_TEXTS: Readonly<Record<string, HarmonyMark>> = {
  "<|start|>": "start",
  "<|channel|>": "channel",
  "<|constrain|>": "constrain",
  "<|message|>": "message",
  "<|end|>": "end",
  "<|return|>": "end",
  "<|call|>": "end",
};

/** Whether a chat template writes in that form. */
export function writesHarmony(template: string): boolean {
  return ["<|start|>", "<|channel|>", "<|message|>"].every((mark) => template.includes(mark));
}

/** The marks of a model whose template writes in that form; null: it writes in another. */
export function harmonyMarksOf(model: LanguageModel): HarmonyMarks | null {
  const isWritten = writesHarmony(model.details?.chatTemplate ?? "");
  return isWritten ? controlMarks(model, MARK_TEXTS) : null;
}
