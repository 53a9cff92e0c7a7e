/**
 * A generation under way: ids from the engine become text, stop strings end it, and whoever asked
 * reads at their own pace. It runs on whether it is read or not, until it ends or is aborted.
 */
import { readLogprobs } from "../engine/logprob_rows.ts";
import { cancelledBeforeStart, type EngineRequest, type EngineResult } from "../engine/types.ts";
import type { DraftCounts } from "../memory/control.ts";
import type { StreamDecoder, Tokenizer } from "../tokenizer/types.ts";
import type { TurnQueue } from "./queue.ts";
import { ShownTokens } from "./shown_tokens.ts";
import { StopText } from "./stop_text.ts";
import type { GenerateChunk, GenerateResult, Generation, TokenLogprobs } from "./types.ts";

/** Where ids come from: `EngineHandle.generate`. */
export type IdSource = (
  request: EngineRequest,
  signal: AbortSignal,
  drafts: DraftCounts,
) => AsyncGenerator<readonly number[], EngineResult>;

export interface GenerationInput {
  readonly source: IdSource;
  readonly request: EngineRequest;
  readonly stop: readonly string[];
  /** Ends it like a stop string. */
  readonly endSignal?: AbortSignal;
  readonly tokenizer: Tokenizer;
  /** The answer is a text by itself: no space that begins its first word. Left out: it goes on. */
  readonly beginsText?: boolean;
  readonly signal?: AbortSignal;
  /** Milliseconds after which it ends, whether it runs or waits. */
  readonly deadlineMs?: number;
}

/** The longest that a timer can be set to. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * Queues and starts a generation.
 * @throws {RequestError} 503 `queue_full`, at once.
 */
export function startGeneration(queue: TurnQueue, input: GenerationInput): Generation {
  const abort = new AbortController();
  const signals = [abort.signal];
  if (input.signal !== undefined) signals.push(input.signal);
  const deadline = new AbortController();
  if (input.deadlineMs !== undefined) signals.push(deadline.signal);
  const signal = AbortSignal.any(signals);
  const chunks = new ChunkList();
  const turn = queue.enter({ signal, priority: input.request.priority });
  const { deadlineMs = Infinity } = input;
  const timer = deadlineMs <= TIMER_MS_MAX
    ? setTimeout(() => deadline.abort(), deadlineMs)
    : undefined;
  const result = pump(turn, { ...input, signal }, chunks)
    .then((result) => inTime(result, deadline.signal))
    .finally(() => clearTimeout(timer));
  // A failure reaches the reader of the chunks too, and is nobody's "unhandled rejection".
  result.then(() => chunks.end(null), (error) => chunks.end(error));
  return {
    result,
    [Symbol.asyncIterator]: () => chunks.read(() => abort.abort(new Error("Not read any more"))),
  };
}

/** Of what was cancelled, it was the deadline, if that has come. */
function inTime(result: GenerateResult, deadline: AbortSignal): GenerateResult {
  const isLate = deadline.aborted && result.finishReason === "cancelled";
  return isLate ? { ...result, finishReason: "time" } : result;
}

async function pump(
  turn: Promise<() => void>,
  input: GenerationInput & { readonly signal: AbortSignal },
  chunks: ChunkList,
): Promise<GenerateResult> {
  let endTurn: () => void;
  try {
    endTurn = await turn;
  } catch {
    return { text: "", ids: [], ...cancelledBeforeStart(input.request) };
  }
  try {
    return await run(input, chunks);
  } finally {
    endTurn();
  }
}

/** Drives the engine to the end of the request; a stop string cancels what is left of it. */
async function run(
  input: GenerationInput & { readonly signal: AbortSignal },
  chunks: ChunkList,
): Promise<GenerateResult> {
  const stopEngine = new AbortController();
  const { endSignal = stopEngine.signal } = input;
  const signal = AbortSignal.any([input.signal, stopEngine.signal, endSignal]);
  const drafts: DraftCounts = { drafted: 0, accepted: 0 };
  const stream = input.source(input.request, signal, drafts);
  const decoder = input.tokenizer.streamDecoder({ atStart: input.beginsText });
  const stop = new StopText(input.stop);
  const ids: number[] = [];
  let text = "";
  const { logprobs: rows } = input.request;
  const tokens = new ShownTokens<TokenLogprobs>();
  const show = (piece: string, newIds: readonly number[], logprobs: readonly TokenLogprobs[]) => {
    text += piece;
    ids.push(...newIds);
    chunks.push({
      ...{ text: piece, ids: newIds },
      ...rows === undefined ? {} : { logprobs },
      ...drafts.drafted === 0
        ? {}
        : { draftedTokens: drafts.drafted, acceptedTokens: drafts.accepted },
    });
  };
  try {
    for (;;) {
      const step = await stream.next();
      if (step.done) {
        const rest = stop.isStopped ? "" : restOf(decoder, stop);
        if (rest !== "") show(rest, [], tokens.showRest(rest));
        const { finishReason, timings } = step.value;
        const isEnded = stop.isStopped || (endSignal.aborted && finishReason === "cancelled");
        return {
          ...{ text, ids, finishReason: isEnded ? "stop" as const : finishReason, timings },
          ...(stop.found !== null && { stopText: stop.found }),
        };
      }
      for (const id of step.value) {
        if (stop.isStopped) break;
        // A control token parts texts: what was held back belongs before it.
        if (input.tokenizer.bytesOf(id).length === 0) {
          const rest = restOf(decoder, stop);
          if (rest !== "") show(rest, [], tokens.showRest(rest));
          if (stop.isStopped) break;
        }
        const decoded = decoder.push(id);
        const piece = stop.push(decoded);
        if (rows) tokens.add(readLogprobs(rows, { index: ids.length, id }), decoded);
        show(piece, [id], tokens.show(piece));
      }
      if (stop.isStopped) stopEngine.abort();
    }
  } finally {
    // Frees the engine should anything above have thrown; does nothing after the end.
    await stream.return(undefined as never);
  }
}

/** What was held back, where no more text of a piece can come. */
function restOf(decoder: StreamDecoder, stop: StopText): string {
  return stop.push(decoder.flush()) + stop.flush();
}

/** Chunks between the one who makes them and the one who reads them; as long as the answer. */
class ChunkList {
  readonly #chunks: GenerateChunk[] = [];
  #isEnded = false;
  #error: unknown = null;
  #news = Promise.withResolvers<void>();

  push(chunk: GenerateChunk): void {
    this.#chunks.push(chunk);
    this.#announce();
  }

  /** No more chunks come; `error` is thrown to the reader unless it is null. */
  end(error: unknown): void {
    this.#isEnded = true;
    this.#error = error;
    this.#announce();
  }

  /** Reads all chunks from the first on; `onLeave` is called when a reader leaves early. */
  async *read(onLeave: () => void): AsyncGenerator<GenerateChunk, void> {
    let next = 0;
    try {
      for (;;) {
        if (next < this.#chunks.length) yield this.#chunks[next++];
        else if (this.#isEnded) break;
        else await this.#news.promise;
      }
    } finally {
      if (!this.#isEnded) onLeave();
    }
    if (this.#error !== null) throw this.#error;
  }

  #announce(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}
