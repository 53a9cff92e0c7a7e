/** One streamed chat of a server that speaks OpenAI's API, with the times that its client sees. */

export interface ServedChat {
  readonly promptTokens: number;
  /** Of the prompt, as the server counts them; 0 where it says nothing. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
  /** From sending to the first piece of text. */
  readonly firstMs: number;
  /** The longest time between two pieces of text. */
  readonly longestGapMs: number;
  /** From sending to the end. */
  readonly totalMs: number;
  readonly text: string;
}

/** What is asked: fields of a chat request but for those that make it a stream. */
export type ChatFields = Readonly<Record<string, unknown>>;

/** What is read of an event. */
interface ChatEvent {
  readonly choices?: readonly { readonly delta?: { readonly content?: string | null } }[];
  readonly usage?: {
    readonly prompt_tokens?: number;
    readonly completion_tokens?: number;
    readonly prompt_tokens_details?: { readonly cached_tokens?: number };
  } | null;
  readonly error?: { readonly message?: string };
}

/**
 * Asks, and reads to the end.
 * @throws {Error} when it is refused, when the answer has an error in it or no end.
 */
export async function timedChat(url: string, fields: ChatFields): Promise<ServedChat> {
  const startMs = performance.now();
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      ...fields,
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  const answer = new TimedAnswer(startMs);
  let rest = "";
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    const events = (rest + piece).split("\n\n");
    rest = events.pop()!;
    for (const event of events) answer.add(event);
  }
  return answer.ended(url);
}

/** What came so far, and when. */
class TimedAnswer {
  readonly #startMs: number;
  #firstMs = NaN;
  #lastMs = NaN;
  #longestGapMs = 0;
  #text = "";
  #usage: ChatEvent["usage"] = null;
  #isWhole = false;

  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  add(event: string): void {
    if (!event.startsWith("data: ")) return;
    const data = event.slice("data: ".length);
    if (data === "[DONE]") {
      this.#isWhole = true;
      return;
    }
    const { choices, usage, error } = JSON.parse(data) as ChatEvent;
    if (error !== undefined) throw new Error(`in the answer: ${error.message}`);
    if (usage) this.#usage = usage;
    const text = choices?.[0]?.delta?.content;
    if (text) this.#addText(text);
  }

  #addText(text: string): void {
    const nowMs = performance.now();
    if (this.#text === "") this.#firstMs = nowMs - this.#startMs;
    else this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    this.#text += text;
  }

  ended(url: string): ServedChat {
    if (!this.#isWhole) throw new Error(`${url}: the answer has no end`);
    return {
      promptTokens: this.#usage?.prompt_tokens ?? NaN,
      cachedTokens: this.#usage?.prompt_tokens_details?.cached_tokens ?? 0,
      completionTokens: this.#usage?.completion_tokens ?? NaN,
      firstMs: this.#firstMs,
      longestGapMs: this.#longestGapMs,
      totalMs: performance.now() - this.#startMs,
      text: this.#text,
    };
  }
}
