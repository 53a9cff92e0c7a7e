/**
 * Says whether a text is well-formed XML, as far as a chart needs it: elements, attributes, text.
 * No prolog, comments, CDATA or declarations.
 */

/** @throws when the text is not one element, well-formed, with nothing but space around it. */
export function checkXml(text: string): void {
  const open: string[] = [];
  let end = 0;
  let roots = 0;
  for (const match of text.matchAll(/<(\/?)([A-Za-z][\w-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/g)) {
    const [tag, closing, name, attributes, empty] = match;
    checkText(text.slice(end, match.index), open.length > 0);
    end = match.index + tag.length;
    checkReferences(attributes);
    const names = [...attributes.matchAll(/([\w:-]+)="/g)].map(([, each]) => each);
    if (new Set(names).size < names.length) throw new Error(`${tag} has an attribute twice`);
    if (closing) {
      if (open.pop() !== name) throw new Error(`${tag} closes what is not open`);
      continue;
    }
    if (open.length === 0) roots++;
    if (!empty) open.push(name);
  }
  checkText(text.slice(end), false);
  if (open.length > 0) throw new Error(`<${open.join("><")}> is not closed`);
  if (roots !== 1) throw new Error(`There are ${roots} elements at the top`);
}

function checkText(text: string, isInside: boolean): void {
  if (!isInside && text.trim() !== "") throw new Error(`"${text}" stands outside of all elements`);
  // deno-lint-ignore no-control-regex
  if (/[<\0-\x08]/.test(text)) throw new Error(`"${text}" is no text and no tag`);
  checkReferences(text);
}

function checkReferences(text: string): void {
  const bad = /&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[\da-f]+);)/i.exec(text);
  if (bad) throw new Error(`"${text.slice(bad.index, bad.index + 10)}" is no reference`);
}
