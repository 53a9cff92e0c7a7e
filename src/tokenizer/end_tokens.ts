/**
 * Which tokens end a generation. Files name one or two of them; the others are known by their text.
 */
import { TokenType } from "./token_types.ts";

/** Texts by which models end an answer, a turn or a document. */
const END_TEXTS: ReadonlySet<string> = new Set([
  "</s>",
  "<|endoftext|>",
  "<|end_of_text|>",
  "<|im_end|>",
  "<|eot_id|>",
  "<|eom_id|>",
  "<|end|>",
  "<|return|>",
  "<|call|>",
  "<|flush|>",
  "<|calls|>",
  "<end_of_turn>",
  "<turn|>",
  "<|tool_response>",
  "<start_function_response>",
  "<end_of_utterance>",
  "<eos>",
  "<EOT>",
  "_<EOT>",
  "[EOS]",
  "[EOT]",
  "[e~[",
  "<｜end▁of▁sentence｜>",
]);

/** True for the text of a token that ends a generation. */
export function isEndText(text: string): boolean {
  return END_TEXTS.has(text);
}

/** False for most tokens that are no end token, by their first byte: "<", "[" or "_". */
export function startsLikeEndText(text: Uint8Array): boolean {
  return text[0] === 0x3c || text[0] === 0x5b || text[0] === 0x5f;
}

/** The ids that end a generation: those the file names, and control tokens known by their text. */
export function endTokenIds(vocab: {
  ids: { eos: number | null; eot: number | null; eom: number | null };
  types: Uint8Array;
  textOf: (id: number) => string;
}): ReadonlySet<number> {
  const ends = new Set<number>();
  for (const id of [vocab.ids.eos, vocab.ids.eot, vocab.ids.eom]) if (id !== null) ends.add(id);
  const byText = new Map<string, number>();
  vocab.types.forEach((type, id) => {
    if (type !== TokenType.control) return;
    const text = vocab.textOf(id);
    if (!END_TEXTS.has(text)) return;
    ends.add(id);
    byText.set(text, id);
  });
  // Where "<|tool_response>" ends an answer, "</s>" is HTML.
  const html = byText.get("</s>");
  if (html !== undefined && byText.has("<|tool_response>")) ends.delete(html);
  // Where these end an answer, "<|end|>" only ends one of its messages: thoughts of Solar's.
  const has = (text: string) => byText.has(text);
  const messageEnd = byText.get("<|end|>");
  const endsElse = has("<|return|>") && has("<|call|>") ||
    has("<|flush|>") && (has("<|calls|>") || has("<|call|>"));
  if (messageEnd !== undefined && endsElse) ends.delete(messageEnd);
  return ends;
}
