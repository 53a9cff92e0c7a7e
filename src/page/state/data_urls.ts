/** Files as data URLs: which of those that come from elsewhere the page would make itself. */

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** Whether a value is a data URL of at most so many characters whose beginning `head` matches. */
export function isDataUrl(value: unknown, head: RegExp, charsMax: number): value is string {
  if (typeof value !== "string" || value.length > charsMax) return false;
  const [begin] = head.exec(value) ?? [];
  return begin !== undefined && BASE64.test(value.slice(begin.length));
}
