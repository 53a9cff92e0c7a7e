/**
 * Blocks of markdown as HTML that nobody has looked at yet. What a model writes is hostile: HTML in
 * it stays text, links lead to the web or nowhere, pictures are links, and what is too deep or too
 * long for the parser, which calls itself for each level, is shown as it is. Knows no document.
 */
import { Marked, type Tokens, type TokensList } from "marked";
import { highlight } from "./highlight.ts";

/** A paragraph, list, table, block of code …: what it was, and what it is as HTML. */
export interface Block {
  readonly source: string;
  readonly html: string;
}

/** Characters; each piece of an answer that comes has all of it parsed again. */
const LENGTH_MAX = 2 ** 18;
/** Levels of quotations and lists: each is parsed once for every level around it. */
const DEPTH_MAX = 32;

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
    checkbox: ({ checked }: Tokens.Checkbox) =>
      `<span class="check">${checked ? "☑" : "☐"} </span>`,
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

/**
 * The blocks of a text, each as `clean` leaves it; those of `before` that are as they were are used
 * again.
 */
export function makeBlocks(
  text: string,
  before: readonly Block[],
  clean: (html: string) => string,
): readonly Block[] {
  const tokens = tokensOf(text);
  if (tokens === null) return [{ source: text, html: clean(plain(text)) }];
  const { links } = tokens;
  return tokens.filter(({ type }) => type !== "space").map((token, index) => {
    const known = before[index];
    if (known?.source === token.raw) return known;
    return { source: token.raw, html: clean(htmlOf(Object.assign([token], { links }))) };
  });
}

/** Null of what can only be shown as it is. */
function tokensOf(text: string): TokensList | null {
  if (text.length > LENGTH_MAX || isTooDeep(text)) return null;
  try {
    return marked.lexer(text);
  } catch {
    return null; // the stack is short in some browsers, and the text is there to be read
  }
}

function htmlOf(tokens: TokensList): string {
  try {
    return marked.parser(tokens);
  } catch {
    return plain(tokens[0].raw);
  }
}

/** What a line of a quotation or list begins with. */
const MARKERS = /^(?:[ \t]*(?:>|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t])))+/gm;

function isTooDeep(text: string): boolean {
  for (const [markers] of text.matchAll(MARKERS)) {
    // A level of a list is two columns at least.
    const columns = /^[ \t]*/.exec(markers)![0].replaceAll("\t", "    ").length;
    const count = markers.match(/[-*+>.)]/g)!.length;
    if (columns / 2 + count > DEPTH_MAX) return true;
  }
  return false;
}

function plain(text: string): string {
  return `<p class="plain">${escapeHtml(text)}</p>`;
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
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
