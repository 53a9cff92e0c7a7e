/**
 * The chat page: a document, its script and its style, made by src/page/build.ts, under a policy
 * that lets them load nothing else. Knows nothing of what the page does.
 */
import { createHash } from "node:crypto";
import script from "../page/built/chat.js" with { type: "text" };
import style from "../page/built/chat.css" with { type: "text" };
import document from "../page/index.html" with { type: "text" };
import type { Route } from "./route.ts";

export const SCRIPT_PATH = "/page/app.js";
export const STYLE_PATH = "/page/app.css";

/** Of these, and of nothing else: no script in the document, no other host, no eval. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types dompurify",
].join("; ");

const PAGE = document
  .replace("STYLE", () => versioned(STYLE_PATH, style))
  .replace("SCRIPT", () => versioned(SCRIPT_PATH, script));

/** What a browser needs for the page. */
export const PAGE_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/",
    handle: () => answer(PAGE, "text/html; charset=utf-8", "no-cache"),
    summary: "The chat page",
  },
  {
    method: "GET",
    path: SCRIPT_PATH,
    handle: () => answer(script, "text/javascript; charset=utf-8", KEPT),
    summary: "The chat page's script",
  },
  {
    method: "GET",
    path: STYLE_PATH,
    handle: () => answer(style, "text/css; charset=utf-8", KEPT),
    summary: "The chat page's style",
  },
];

/** The document asks for them by what is in them. */
const KEPT = "public, max-age=31536000, immutable";

function answer(body: string, type: string, caching: string): Response {
  return new Response(body, {
    headers: {
      "content-type": type,
      "cache-control": caching,
      "content-security-policy": POLICY,
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
    },
  });
}

function versioned(path: string, text: string): string {
  return `${path}?v=${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
}
