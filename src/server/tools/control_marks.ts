/** Which of a model's tokens mark the parts of its answers. */
import type { LanguageModel } from "../../llm/types.ts";

/** Marks by their ids; null: one of `texts` is no token of its own, or one that has a text. */
export function controlMarks<Mark>(
  model: LanguageModel,
  texts: Readonly<Record<string, Mark>>,
): ReadonlyMap<number, Mark> | null {
  const marks = new Map<number, Mark>();
  for (const [text, mark] of Object.entries(texts)) {
    const ids = model.encodeText(text, { special: true });
    // A mark that has a text could not be told from that text.
    if (ids.length !== 1 || model.tokenBytes(ids[0]).length > 0) return null;
    marks.set(ids[0], mark);
  }
  return marks;
}
