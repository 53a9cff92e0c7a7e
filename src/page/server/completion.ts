/** An answer to a conversation, piece by piece, and how fast it came. Knows nothing of chats. */
import type { AnswerFacts, Settings } from "../types.ts";
import { isOfSound, soundData } from "../state/sound_urls.ts";
import type { Client } from "./client.ts";
import { answerLost, failure, PageError } from "./errors.ts";
import { readEvents } from "./event_stream.ts";

export interface Question {
  readonly model: string | undefined;
  readonly messages: readonly QuestionMessage[];
  readonly settings: Settings;
  /** The same for all questions of a chat: proxies keep it where its keys and values are. */
  readonly cacheKey: string;
}

export interface QuestionMessage {
  readonly role: string;
  readonly content: string;
  /** Data URLs of images and sounds, before the text; left out: none. */
  readonly images?: readonly string[];
}

/** What came since the last one. */
export interface AnswerPiece {
  readonly text: string;
  readonly thoughts: string;
  readonly facts: AnswerFacts;
  readonly isCut: boolean;
}

/** What the page looks at of an event. */
interface ChunkEvent {
  readonly error?: unknown;
  readonly choices?: readonly {
    readonly delta?: { readonly content?: unknown; readonly reasoning_content?: unknown };
    readonly finish_reason?: unknown;
  }[];
  readonly timings?: Readonly<Record<string, unknown>>;
}

/**
 * The pieces of the answer.
 * @throws {PageError} when it is refused, fails or is cut; an abort is thrown as it is.
 */
export async function* ask(
  client: Client,
  question: Question,
  signal: AbortSignal,
): AsyncGenerator<AnswerPiece> {
  const clock = new AnswerClock();
  const response = await client.post("/v1/chat/completions", bodyOf(question), signal);
  let isWhole = false;
  try {
    for await (const event of readEvents(response.body!)) {
      const { error, choices, timings } = event as ChunkEvent;
      if (error) throw failure(event);
      const [choice] = choices ?? [];
      const text = textOf(choice?.delta?.content);
      const thoughts = textOf(choice?.delta?.reasoning_content);
      clock.note(text + thoughts !== "", timings);
      isWhole ||= Boolean(choice?.finish_reason);
      yield { text, thoughts, facts: clock.facts, isCut: choice?.finish_reason === "length" };
    }
  } catch (error) {
    if (signal.aborted || error instanceof PageError) throw error;
    throw answerLost();
  }
  if (!isWhole) throw answerLost();
}

function bodyOf({ model, messages, settings, cacheKey }: Question): Record<string, unknown> {
  const system = settings.system.trim();
  const fields = {
    ...{ temperature: settings.temperature, top_p: settings.topP, top_k: settings.topK },
    ...{ min_p: settings.minP, repeat_penalty: settings.repeatPenalty, seed: settings.seed },
    max_tokens: settings.maxTokens,
  };
  const given = Object.entries(fields).filter(([, value]) => value !== null);
  return {
    ...model === undefined ? {} : { model },
    messages: [...system === "" ? [] : [{ role: "system", content: system }], ...messages]
      .map(messageOnWire),
    ...{ stream: true, prompt_cache_key: cacheKey },
    ...Object.fromEntries(given),
  };
}

/** Parts only where there are images: every server reads plain text. */
function messageOnWire({ role, content, images = [] }: QuestionMessage) {
  if (images.length === 0) return { role, content };
  const shown = images.map((url) =>
    isOfSound(url)
      ? { type: "input_audio", input_audio: { data: soundData(url) } }
      : { type: "image_url", image_url: { url } }
  );
  return { role, content: [...shown, ...content === "" ? [] : [{ type: "text", text: content }]] };
}

/** Measures an answer as it looks from here, until the server says how it was. */
class AnswerClock {
  readonly #startMs = performance.now();
  #firstMs = 0;
  #lastMs = 0;
  #pieces = 0;
  #timings: ChunkEvent["timings"];

  note(isToken: boolean, timings: ChunkEvent["timings"]): void {
    this.#timings = timings ?? this.#timings;
    if (!isToken) return;
    this.#lastMs = performance.now();
    if (this.#pieces++ === 0) this.#firstMs = this.#lastMs;
  }

  get facts(): AnswerFacts {
    const firstTokenMs = Math.max(0, this.#firstMs - this.#startMs);
    const told = (name: string) => {
      const value = this.#timings?.[name];
      return typeof value === "number" && Number.isFinite(value) ? value : null;
    };
    const seconds = (this.#lastMs - this.#firstMs) / 1000;
    const prompt = told("prompt_n");
    return {
      tokens: told("predicted_n") ?? this.#pieces,
      tokensPerSecond: told("predicted_per_second") ??
        (seconds > 0 ? (this.#pieces - 1) / seconds : 0),
      firstTokenMs,
      ...prompt === null ? {} : { promptTokens: prompt + (told("cache_n") ?? 0) },
    };
  }
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
