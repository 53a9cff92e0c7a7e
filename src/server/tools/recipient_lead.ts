/**
 * What the beginning of a part of an answer says of it where a model writes for whom each part is:
 * a name and a line's end, then text for people or a call's arguments. Pure.
 */
import type { CallFormat } from "./call_format.ts";

const LEAD_CHARS_MAX = 320;
const SPACES_MAX = 256;
/** A name that is not whole, or an object that has not begun. */
const BEGINNING = /^[\w.:/-]{0,256}$|^[\w.:/-]{1,256}[ \t]*(?:\n\s*)?$/;
const CALL = /^[\w.:/-]{1,256}[ \t]*\n\s*\{$/;

/** What has come of a part, whose mark may stand before it: "none" is no part's beginning. */
export function judgeLead(
  raw: string,
  { open, textLead = "" }: Pick<CallFormat, "open" | "textLead">,
): "text" | "call" | "more" | "none" {
  const begun = raw.trimStart();
  if (raw.length - begun.length > SPACES_MAX) return "none";
  const lead = begun.startsWith(open) ? begun.slice(open.length) : begun;
  if (lead === textLead) return "text";
  if (CALL.test(lead)) return "call";
  const mayBeOpen = open.startsWith(begun);
  return mayBeOpen || BEGINNING.test(lead) && lead.length <= LEAD_CHARS_MAX ? "more" : "none";
}
