/**
 * The chat page: a document, its scripts (the page's own, and that of its libraries) and its style,
 * made by src/page/build.ts, under a policy that lets them load nothing else. Knows nothing of what
 * the page does.
 */
import { createHash } from "node:crypto";
import script from "../page/built/chat.js" with { type: "text" };
import vendor from "../page/built/vendor.js" with { type: "text" };
import style from "../page/built/chat.css" with { type: "text" };
import document from "../page/index.html" with { type: "text" };
import type { Route } from "./route.ts";

export const SCRIPT_PATH = "/page/app.js";
export const VENDOR_PATH = "/page/vendor.js";
export const STYLE_PATH = "/page/app.css";

/** Of these, and of nothing else: no script in the document, no other host, no eval. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src data:",
  "media-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types dompurify",
].join("; ");

/** A file that the document asks for by what is in it. */
interface PageFile {
  readonly text: string;
  readonly type: string;
  readonly version: string;
}

const JAVASCRIPT = "text/javascript; charset=utf-8";
const VENDOR = versioned(vendor, JAVASCRIPT);
/** Its version changes with the libraries', whose address is in it. */
const SCRIPT = versioned(
  script.replace('"./vendor.js"', () => `"${VENDOR_PATH}?v=${VENDOR.version}"`),
  JAVASCRIPT,
);
const STYLE = versioned(style, "text/css; charset=utf-8");
const PAGE = document
  .replace("STYLE", () => `${STYLE_PATH}?v=${STYLE.version}`)
  .replace("VENDOR", () => `${VENDOR_PATH}?v=${VENDOR.version}`)
  .replace("SCRIPT", () => `${SCRIPT_PATH}?v=${SCRIPT.version}`);

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
    handle: (c) => fileAnswer(SCRIPT, c.req.query("v")),
    summary: "The chat page's script",
  },
  {
    method: "GET",
    path: VENDOR_PATH,
    handle: (c) => fileAnswer(VENDOR, c.req.query("v")),
    summary: "The libraries of the chat page's script",
  },
  {
    method: "GET",
    path: STYLE_PATH,
    handle: (c) => fileAnswer(STYLE, c.req.query("v")),
    summary: "The chat page's style",
  },
];

const KEPT = "public, max-age=31536000, immutable";

/**
 * Of another version (a page from before an update, replicas of two versions) it must not be kept:
 * whoever asks for that version next would get this one for a year.
 */
function fileAnswer({ text, type, version }: PageFile, asked: string | undefined): Response {
  return answer(text, type, asked === version ? KEPT : "no-cache");
}

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

function versioned(text: string, type: string): PageFile {
  return { text, type, version: createHash("sha256").update(text).digest("hex").slice(0, 16) };
}
