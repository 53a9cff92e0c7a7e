/**
 * A model's text as HTML that can do no harm: what markdown_blocks.ts makes of it is looked at
 * again by DOMPurify, which lets through a list of elements and no others. Blocks are apart, so
 * that of a text that grows only the last ones are made anew.
 */
import DOMPurify from "dompurify";
import { type Block, makeBlocks } from "./markdown_blocks.ts";

export type { Block };

const TAGS = [
  ...["p", "br", "hr", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li"],
  ...["h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"],
  ...["a", "span", "div", "button"],
];
const ATTRIBUTES = [
  ...["href", "title", "target", "rel", "class", "start", "align"],
  ...["type", "tabindex", "role", "aria-label", "data-copy"],
];

/** The blocks of a text; those of `before` that are as they were are used again. */
export function blocksOf(text: string, before: readonly Block[] = []): readonly Block[] {
  return makeBlocks(text, before, sanitize);
}

function sanitize(html: string): string {
  const clean = DOMPurify.sanitize(html, {
    RETURN_TRUSTED_TYPE: true,
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ATTRIBUTES,
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
  });
  // The page's policy lets nothing but this into the document; where a browser has no such types
  // it is a string, and whoever sets it need not know.
  return clean as unknown as string;
}
