/** A message out of lines: one, several between """, or several that end in \. */
import type { LineSource } from "./line_source.ts";

const FENCE = '"""';

/**
 * The next message, as it was typed.
 * @returns null when there are no more lines; "" when it was not meant.
 */
export async function readMessage(source: LineSource): Promise<string | null> {
  const first = await source.next("> ");
  if (first.kind === "end") return null;
  if (first.kind === "cancelled") return "";
  const begin = first.text.trimStart();
  if (begin.startsWith(FENCE)) return await readFenced(source, begin.slice(FENCE.length));
  let text = first.text;
  while (text.endsWith("\\")) {
    const more = await source.next(". ");
    if (more.kind === "cancelled") return "";
    text = `${text.slice(0, -1)}\n${more.kind === "end" ? "" : more.text}`;
    if (more.kind === "end") break;
  }
  return text;
}

async function readFenced(source: LineSource, begin: string): Promise<string> {
  let text = begin;
  while (!text.trimEnd().endsWith(FENCE)) {
    const more = await source.next(". ");
    if (more.kind === "cancelled") return "";
    if (more.kind === "end") return text;
    text += `\n${more.text}`;
  }
  return text.trimEnd().slice(0, -FENCE.length);
}
