/**
 * An input file to jobs: a JSON object a line, each with an id of its own. What is wrong is said
 * with its line, in OpenAI's codes. Knows which paths may be asked only by being told one.
 */
import { isJsonObject } from "../base/json_object.ts";
import type { JobLine, LineError } from "./batch_store.ts";
import { breather } from "./breather.ts";

/** As many as OpenAI takes. */
export const LINES_MAX = 50_000;
/** Blank lines included, which cost time, too. */
const RAW_LINES_MAX = 2 * LINES_MAX;
/** More errors than anybody reads; the record of a batch has them all. */
const ERRORS_MAX = 100;
const CUSTOM_ID_CHARS_MAX = 512;
/** Walks over a value that nests deeper could overflow the stack. */
const DEPTH_MAX = 64;
/** In a line: one with more holds up the process while it is parsed. */
const VALUES_MAX = 1_000_000;
/** Names of fields in a line: they take ten times as long. */
const NAMES_MAX = 100_000;

export interface InputOptions {
  /** The path that all lines must ask. */
  readonly endpoint: string;
  /** The longest line: what is asked must fit into a request. */
  readonly lineBytesMax: number;
}

/**
 * Looks at every line.
 * @returns how many jobs there are, and what is wrong; nothing may be done where anything is.
 */
export async function checkInput(
  bytes: AsyncIterable<Uint8Array>,
  options: InputOptions,
): Promise<{ readonly total: number; readonly errors: readonly LineError[] }> {
  const errors: LineError[] = [];
  let total = 0;
  const seen = new Set<string>();
  for await (const { job, error } of readInput(bytes, options)) {
    const fault = error ?? repeated(job, seen);
    if (fault !== null) errors.push(fault);
    else total++;
    if (total > LINES_MAX) {
      errors.push(faultOf("too_many_requests", `The file has more than ${LINES_MAX} requests`));
    }
    if (errors.length >= ERRORS_MAX || total > LINES_MAX) break;
  }
  if (total === 0 && errors.length === 0) {
    errors.push(faultOf("empty_file", "The file has no requests: give one a line"));
  }
  return { total, errors };
}

/** The jobs of a file that `checkInput` found nothing wrong with. */
export async function* readJobs(
  bytes: AsyncIterable<Uint8Array>,
  options: InputOptions,
): AsyncGenerator<JobLine> {
  let index = 0;
  for await (const { job } of readInput(bytes, options)) {
    if (job !== null) yield { index: index++, ...job };
  }
}

type Job = Omit<JobLine, "index">;
type NumberedJob = Job & { readonly line: number };
type Parsed =
  | { readonly job: NumberedJob; readonly error: null }
  | { readonly job: null; readonly error: LineError };

async function* readInput(
  bytes: AsyncIterable<Uint8Array>,
  { endpoint, lineBytesMax }: InputOptions,
): AsyncGenerator<Parsed> {
  const breathe = breather();
  for await (const { line, text } of readLines(bytes, lineBytesMax)) {
    await breathe();
    if (typeof text === "string" && text.trim() === "") continue;
    const parsed = parseLine(text, endpoint);
    yield "code" in parsed
      ? { job: null, error: { ...parsed, line } }
      : { job: { ...parsed, line }, error: null };
  }
}

function repeated(job: NumberedJob | null, seen: Set<string>): LineError | null {
  if (job === null) return null;
  const { customId, line } = job;
  if (!seen.has(customId)) {
    seen.add(customId);
    return null;
  }
  const name = JSON.stringify(customId.slice(0, 100));
  return {
    ...faultOf("duplicate_custom_id", `The custom_id ${name} was used before`, "custom_id"),
    line,
  };
}

interface RawLine {
  /** From 1 on. */
  readonly line: number;
  readonly text: string | LineFault;
}

type LineFault = "too long" | "not UTF-8" | "too many";

const LINE_FEED = 10;

/** Lines as texts, but for empty ones, with no more than one of them in memory. */
async function* readLines(
  bytes: AsyncIterable<Uint8Array>,
  lineBytesMax: number,
): AsyncGenerator<RawLine> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let pieces: Uint8Array[] = [];
  let length = 0;
  let line = 1;
  const add = (piece: Uint8Array) => {
    length += piece.length;
    // Of a line that is too long nothing is kept. A copy: whoever yields may use its bytes again.
    if (length > lineBytesMax) pieces = [];
    else pieces.push(piece.slice());
  };
  const end = (): RawLine => {
    const text = length > lineBytesMax ? "too long" : decode(pieces, decoder);
    pieces = [];
    length = 0;
    return { line: line++, text };
  };
  for await (const piece of bytes) {
    let from = 0;
    for (let at; (at = piece.indexOf(LINE_FEED, from)) >= 0; from = at + 1) {
      if (line > RAW_LINES_MAX) return yield { line, text: "too many" };
      if (at > from) add(piece.subarray(from, at));
      if (length > 0) yield end();
      else line++;
    }
    if (from < piece.length) add(piece.subarray(from));
  }
  if (length > 0) yield end();
}

function decode(pieces: readonly Uint8Array[], decoder: TextDecoder): string | LineFault {
  try {
    const parts = pieces.map((piece) => decoder.decode(piece, { stream: true }));
    return parts.join("") + decoder.decode();
  } catch {
    // What it holds of the broken line must not begin the next one.
    try {
      decoder.decode();
    } catch {
      // It is empty now.
    }
    return "not UTF-8";
  }
}

type Fault = Omit<LineError, "line">;

function parseLine(text: string | LineFault, endpoint: string): Job | Fault {
  if (text === "too long") {
    return faultOf("line_too_long", "This line is longer than a request may be");
  }
  if (text === "too many") {
    return faultOf("too_many_lines", `The file has more than ${RAW_LINES_MAX} lines`);
  }
  if (text === "not UTF-8") return faultOf("invalid_json_line", "This line is not UTF-8");
  if (!isSmall(text)) {
    const limits = `deeper than ${DEPTH_MAX} levels, or of too many values`;
    return faultOf("invalid_body", `Invalid value for "body": it is ${limits}`, "body");
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return faultOf("invalid_json_line", "This line is not valid JSON");
  }
  if (!isJsonObject(value)) return faultOf("invalid_json_line", "This line is not a JSON object");
  const { custom_id: customId, method, url, body } = value;
  if (typeof customId !== "string" || customId === "" || customId.length > CUSTOM_ID_CHARS_MAX) {
    const expected = `expected a text of 1 to ${CUSTOM_ID_CHARS_MAX} characters`;
    return faultOf("invalid_custom_id", `Invalid value for "custom_id": ${expected}`, "custom_id");
  }
  if (method !== "POST") {
    return faultOf("invalid_method", `Invalid value for "method": expected "POST"`, "method");
  }
  if (url !== endpoint) {
    const expected = `expected ${JSON.stringify(endpoint)}, the endpoint of the batch`;
    return faultOf("mismatched_url", `Invalid value for "url": ${expected}`, "url");
  }
  if (!isJsonObject(body)) {
    return faultOf("invalid_body", `Invalid value for "body": expected an object`, "body");
  }
  if (body.stream) {
    return faultOf(
      "stream_not_supported",
      "A batch has no streams: leave out stream",
      "body.stream",
    );
  }
  if (!hasFiniteNumbers(body)) {
    const fault = "a number that is too large";
    return faultOf("invalid_body", `Invalid value for "body": it has ${fault}`, "body");
  }
  return { customId: customId.toWellFormed(), endpoint, body: JSON.stringify(body) };
}

function faultOf(code: string, message: string, param: string | null = null): LineError {
  return { code, message, param, line: null };
}

/** True for a text whose brackets nest, and whose values are, no more than is bearable. */
function isSmall(text: string): boolean {
  let [depth, valueCount, nameCount, isInString] = [0, 0, 0, false];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (isInString) {
      if (code === BACKSLASH) at++;
      else if (code === QUOTE) isInString = false;
    } else if (code === QUOTE) isInString = true;
    else if (code === COMMA) valueCount++;
    else if (code === COLON) nameCount++;
    else if (OPENING.has(code)) {
      valueCount++;
      // The body is a value of the line.
      if (++depth > DEPTH_MAX + 1) return false;
    } else if (CLOSING.has(code)) depth--;
  }
  return valueCount <= VALUES_MAX && nameCount <= NAMES_MAX;
}

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const OPENING: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const CLOSING: ReadonlySet<number> = new Set([0x5d, 0x7d]);

/** True where writing the value as JSON gives the value again: 1e999 would become null. */
function hasFiniteNumbers(body: Record<string, unknown>): boolean {
  const open: object[] = [body];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    for (const each of Array.isArray(value) ? value : Object.values(value)) {
      if (each === Infinity || each === -Infinity) return false;
      if (typeof each === "object" && each !== null) open.push(each);
    }
  }
  return true;
}
