/** The chat page: one document that loads nothing, under a policy that lets it load nothing. */
import { createHash } from "node:crypto";
import { check } from "../base/check.ts";
import script from "./page/chat.js" with { type: "text" };
import document from "./page/index.html" with { type: "text" };
import style from "./page/style.css" with { type: "text" };

/** The page as an answer. */
export function pageResponse(): Response {
  return new Response(PAGE, { headers: HEADERS });
}

const PAGE = assemble();

const HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-cache",
  "content-security-policy": [
    "default-src 'none'",
    `script-src '${digest(script)}'`,
    `style-src '${digest(style)}'`,
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

function assemble(): string {
  check(!/<\/(script|style)/i.test(script + style), "the page's script or style would end early");
  // Functions, for a text may hold "$&".
  return document
    .replace("<style></style>", () => `<style>${style}</style>`)
    .replace("<script></script>", () => `<script>${script}</script>`);
}

function digest(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
