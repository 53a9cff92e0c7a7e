/**
 * A model's text as HTML that can do no harm. All that a model writes is hostile: HTML in it stays
 * text, links lead to the web or nowhere, pictures are links; and what comes out is looked at again
 * by DOMPurify, which lets through a list of elements and no others. Blocks are apart, so that of a
 * text that grows only the last ones are made anew.
 */
import DOMPurify from "dompurify";
import { Marked, type Tokens } from "marked";
import { highlight } from "./highlight.ts";

/** A paragraph, list, table, block of code …: what it was, and what it is as HTML. */
export interface Block {
  readonly source: string;
  readonly html: string;
}

const TAGS = [
  ...["p", "br", "hr", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li"],
  ...["h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"],
  ...["a", "span", "div", "button"],
];
const ATTRIBUTES = [
  ...["href", "title", "target", "rel", "class", "start", "align"],
  ...["type", "tabindex", "role", "aria-label", "data-copy"],
];

const WEB = /^(?:https?:\/\/|mailto:)/i;

const marked = new Marked({ gfm: true, breaks: false });
marked.use({
  renderer: {
    html: ({ text }: Tokens.HTML | Tokens.Tag) => escapeHtml(text),
    image: ({ href, text }: Tokens.Image) => linkOf(href, escapeHtml(text || "picture")),
    link({ href, tokens }: Tokens.Link) {
      return linkOf(href, this.parser.parseInline(tokens));
    },
    code: ({ text, lang }: Tokens.Code) => codeOf(text, lang ?? ""),
    checkbox: ({ checked }: Tokens.Checkbox) => checked ? "☑ " : "☐ ",
    table(token: Tokens.Table) {
      const row = (cells: Tokens.TableCell[], tag: string) =>
        `<tr>${
          cells.map(({ tokens, align }) =>
            `<${tag}${align ? ` align="${align}"` : ""}>${this.parser.parseInline(tokens)}</${tag}>`
          ).join("")
        }</tr>`;
      const body = token.rows.map((cells) => row(cells, "td")).join("");
      return `<div class="table" tabindex="0" role="group" aria-label="Table"><table><thead>${
        row(token.header, "th")
      }</thead><tbody>${body}</tbody></table></div>`;
    },
  },
});

/** The blocks of a text; those of `before` that are as they were are used again. */
export function blocksOf(text: string, before: readonly Block[] = []): readonly Block[] {
  const tokens = marked.lexer(text);
  const { links } = tokens;
  return tokens.filter(({ type }) => type !== "space").map((token, index) => {
    const known = before[index];
    if (known?.source === token.raw) return known;
    const html = marked.parser(Object.assign([token], { links }));
    return { source: token.raw, html: sanitize(html) };
  });
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

function linkOf(href: string, html: string): string {
  if (!WEB.test(href)) return html;
  const attributes = `target="_blank" rel="noopener noreferrer nofollow"`;
  return `<a href="${escapeHtml(href)}" ${attributes}>${html}</a>`;
}

function codeOf(text: string, info: string): string {
  const language = info.trim().split(/\s/)[0].slice(0, 40);
  const name = language === "" ? "code" : language;
  return `<div class="code"><div class="code-head"><span>${escapeHtml(name)}</span>` +
    `<button type="button" class="quiet small" data-copy="">Copy</button></div>` +
    // Who reads by keyboard has to be able to scroll it.
    `<pre tabindex="0" role="group" aria-label="Code, ${escapeHtml(name)}"><code>${
      highlight(text, language) ?? escapeHtml(text)
    }</code></pre></div>`;
}

/** Text as HTML that shows it. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
