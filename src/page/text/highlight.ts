/** Code in colours, for languages that are known. */
import hljs from "highlight.js/lib/common";

/** Longer code is shown as it is: colours are not worth a page that stands still. */
const CHARS_MAX = 40_000;

/** HTML of the code; null: as it is. */
export function highlight(code: string, language: string): string | null {
  if (code.length > CHARS_MAX || hljs.getLanguage(language) === undefined) return null;
  return hljs.highlight(code, { language, ignoreIllegals: true }).value;
}
