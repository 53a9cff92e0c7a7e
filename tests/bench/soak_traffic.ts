/**
 * What the clients of a soaked server ask: a mixture of everything that clients do, right and
 * wrong, from a seed. Each kind knows which answer is right. Knows nothing of what is measured.
 */
import { Rng } from "../support/rng.ts";

/** What came of one request. */
export interface SoakOutcome {
  readonly kind: string;
  /** To the first piece of a stream, or to the whole answer, in milliseconds; null: cut off. */
  readonly ms: number | null;
  /** What was wrong with the answer; null: nothing. */
  readonly flaw: string | null;
}

/** Whom requests are sent to. */
export interface SoakTarget {
  readonly url: string;
  /** The model of most requests, and one that is loaded when it is asked for. */
  readonly model: string;
  readonly otherModel: string;
}

interface Ask {
  readonly path: string;
  readonly body: unknown;
  /** Status of the right answer. */
  readonly status?: number;
  /** Of a stream: its end. */
  readonly end?: string;
  /** The client goes away after so many milliseconds. */
  readonly leaveMs?: number;
  readonly method?: string;
  /** Says what is wrong with the body of the answer. */
  readonly check?: (text: string) => string | null;
}

const WORDS =
  "fox tale moon river sings of a small brave house where old friends bake bread in snow"
    .split(" ");

type Make = (target: SoakTarget, rng: Rng) => Ask;

/** Kinds of requests, with how often each comes among 100. */
const KINDS: readonly (readonly [name: string, share: number, make: Make])[] = [
  ["stream", 25, ({ model }, rng) => chat({ model, stream: true, ...talk(rng) })],
  ["plain", 15, ({ model }, rng) => chat({ model, ...talk(rng) })],
  ["conversation", 8, ({ model }, rng) => chat({ model, stream: true, ...conversation(rng) })],
  ["choices", 4, ({ model }, rng) => completion({ model, n: 2, logprobs: 1, ...text(rng) })],
  ["tools", 6, ({ model }, rng) => chat({ model, ...talk(rng), ...TOOLS, max_tokens: 60 })],
  ["schema", 6, ({ model }, rng) => chat({ model, ...talk(rng), ...SCHEMA, max_tokens: 60 })],
  ["embeddings", 8, ({ model }, rng) => ({ path: "/v1/embeddings", body: embedding(model, rng) })],
  ["ollama", 5, ({ model }, rng) => ollama({ model, ...talk(rng) })],
  ["other model", 3, ({ otherModel }, rng) => completion({ model: otherModel, ...text(rng) })],
  ["vanished", 10, ({ model }, rng) => ({
    ...chat({ model, stream: rng.int(2) === 0, ...talk(rng) }),
    leaveMs: rng.int(300),
  })],
  ["tokens", 4, ({ model }, rng) => ({
    path: "/tokenize",
    body: { model, content: sentence(rng, 50) },
  })],
  ["bad", 6, ({ model }, rng) => BAD[rng.int(BAD.length)](model)],
];

/** Requests that are refused, each with its status. */
const BAD: readonly ((model: string) => Ask)[] = [
  () => ({ path: "/v1/chat/completions", body: "{", status: 400 }),
  () => ({ path: "/v1/chat/completions", body: { messages: 5 }, status: 400 }),
  (model) => ({ path: "/v1/completions", body: { model, prompt: "a", n: 1e9 }, status: 400 }),
  () => ({ path: "/v1/completions", body: { model: "nobody", prompt: "a" }, status: 404 }),
  (model) => ({
    path: "/v1/completions",
    body: { model, prompt: "word ".repeat(20_000) },
    status: 400,
  }),
  () => ({ path: "/nowhere", body: {}, status: 404 }),
  () => ({ path: "/v1/models", body: {}, status: 405 }),
  () => ({ path: "/api/chat", body: { messages: [{ role: "pirate" }] }, status: 400 }),
];

/** Names of all kinds. */
export const SOAK_KINDS: readonly string[] = KINDS.map(([name]) => name);

/** One of them, by its share. */
export function pickKind(rng: Rng): string {
  let left = rng.int(KINDS.reduce((sum, [, share]) => sum + share, 0));
  for (const [name, share] of KINDS) {
    left -= share;
    if (left < 0) return name;
  }
  return KINDS[0][0];
}

/** Sends a request of that kind, and judges its answer. */
export async function sendKind(kind: string, target: SoakTarget, rng: Rng): Promise<SoakOutcome> {
  const make = KINDS.find(([name]) => name === kind)![2];
  const ask = make(target, rng);
  const client = new AbortController();
  const timer = ask.leaveMs === undefined
    ? undefined
    : setTimeout(() => client.abort(), ask.leaveMs);
  try {
    return { kind, ...await send(ask, target.url, client.signal) };
  } catch (error) {
    return { kind, ms: null, flaw: client.signal.aborted ? null : String(error) };
  } finally {
    clearTimeout(timer);
  }
}

async function send(
  { path, body, status = 200, end, check }: Ask,
  url: string,
  signal: AbortSignal,
): Promise<{ ms: number; flaw: string | null }> {
  const startMs = performance.now();
  const response = await fetch(url + path, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    signal,
  });
  let text = "";
  let ms: number | null = null;
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    ms ??= performance.now() - startMs;
    text += piece;
  }
  const isStream = end !== undefined && response.status === 200;
  if (!isStream || ms === null) ms = performance.now() - startMs;
  if (response.status !== status) {
    return { ms, flaw: `${path}: ${response.status}, not ${status}: ${text.slice(0, 200)}` };
  }
  if (isStream && !text.endsWith(end)) return { ms, flaw: `${path}: it broke off` };
  return { ms, flaw: check?.(text) ?? null };
}

interface ChatFields extends Record<string, unknown> {
  readonly stream?: boolean;
}

function chat(body: ChatFields): Ask {
  const path = "/v1/chat/completions";
  return { path, body, ...(body.stream && { end: "data: [DONE]\n\n" }), check: noError };
}

function completion(body: Record<string, unknown>): Ask {
  return { path: "/v1/completions", body, check: noError };
}

function ollama({ max_tokens, ...body }: Record<string, unknown>): Ask {
  const options = { num_predict: max_tokens };
  return { path: "/api/chat", body: { ...body, options }, check: noError };
}

/** Streams tell of a failure inside. */
function noError(text: string): string | null {
  return text.includes('{"error"') ? text.slice(-200) : null;
}

function talk(rng: Rng) {
  return { messages: [{ role: "user", content: sentence(rng, 30) }], max_tokens: 1 + rng.int(40) };
}

/** One of a few that go on: their beginnings are in the cache, sometimes. */
function conversation(rng: Rng) {
  const same = new Rng(1 + rng.int(20));
  const messages = Array.from({ length: 1 + 2 * rng.int(4) }, (_, at) => ({
    role: at % 2 === 0 ? "user" : "assistant",
    content: sentence(same, 25),
  }));
  return { messages, max_tokens: 20 };
}

function text(rng: Rng) {
  return { prompt: sentence(rng, 40), max_tokens: 1 + rng.int(20) };
}

function embedding(model: string, rng: Rng) {
  return { model, input: Array.from({ length: 1 + rng.int(3) }, () => sentence(rng, 40)) };
}

function sentence(rng: Rng, most: number): string {
  return Array.from({ length: 1 + rng.int(most) }, () => WORDS[rng.int(WORDS.length)]).join(" ");
}

const TOOLS = {
  tool_choice: "required",
  tools: [{
    type: "function",
    function: {
      name: "weather",
      parameters: {
        type: "object",
        properties: { city: { type: "string", maxLength: 8 }, days: { type: "integer" } },
        required: ["city"],
      },
    },
  }],
};

const SCHEMA = {
  response_format: {
    type: "json_schema",
    json_schema: {
      name: "animal",
      schema: {
        type: "object",
        properties: { name: { type: "string", maxLength: 12 }, legs: { enum: [0, 2, 4] } },
        required: ["name", "legs"],
        additionalProperties: false,
      },
    },
  },
};
