/**
 * A generation under observation: tokens are counted and timed while somebody reads them, and when
 * it ends a line of the log and a span say how it went. Adds numbers per piece, nothing more.
 */
import { messageOf } from "../../base/errors.ts";
import type { GenerateChunk, GenerateResult, Generation, LanguageModel } from "../../llm/types.ts";
import type { AppSettings } from "../options.ts";
import type { GenerationSeries } from "./server_metrics.ts";
import { type Span, STATUS_ERROR } from "./spans.ts";

export interface WatchedRequest {
  readonly settings: Pick<AppSettings, "metrics" | "log" | "logPrompts" | "tracer">;
  readonly model: Pick<LanguageModel, "id" | "decode">;
  readonly requestId: string;
  /** Of the prompt. */
  readonly ids: readonly number[];
}

/** Starts a generation and passes it on, watched. What `start` throws is counted, too. */
export function watchGeneration(request: WatchedRequest, start: () => Generation): Generation {
  const { settings: { metrics, tracer }, model } = request;
  const watch = new Watch(metrics.generations(model.id), performance.now());
  const span = tracer?.startSpan("generate", {
    attributes: {
      "gen_ai.operation.name": "text_completion",
      "gen_ai.request.model": model.id,
      "ganglion.request_id": request.requestId,
    },
  });
  let generation: Generation;
  try {
    generation = start();
  } catch (error) {
    // Refused, not failed: the request's own status counts it.
    span?.setStatus({ code: STATUS_ERROR, message: messageOf(error) });
    span?.end();
    throw error;
  }
  generation.result.then(
    (result) => finish(request, watch, { result, span }),
    (error) => fail(request, watch, { error, span }),
  );
  return {
    result: generation.result,
    [Symbol.asyncIterator]: () => watch.read(generation),
  };
}

type Drafts = Pick<GenerateChunk, "draftedTokens" | "acceptedTokens">;

/** The clock of one generation. */
class Watch {
  readonly series: GenerationSeries;
  readonly startMs: number;
  firstTokenMs: number | null = null;
  #lastMs = 0;
  #isRead = false;
  #drafted = 0;
  #accepted = 0;

  constructor(series: GenerationSeries, startMs: number) {
    this.series = series;
    this.startMs = startMs;
  }

  /** Reads the pieces; only the first reader's are counted. */
  read(generation: Generation): AsyncIterator<GenerateChunk> {
    const pieces = generation[Symbol.asyncIterator]();
    if (this.#isRead) return pieces;
    this.#isRead = true;
    return {
      next: async () => {
        const step = await pieces.next();
        if (!step.done) {
          this.countDrafts(step.value);
          this.#count(step.value.ids.length);
        }
        return step;
      },
      return: (value) => pieces.return?.(value) ?? Promise.resolve({ done: true, value }),
    };
  }

  /** What was guessed ahead so far: what is new of it counts. */
  countDrafts({ draftedTokens = 0, acceptedTokens = 0 }: Drafts): void {
    this.series.draftedTokens.add(Math.max(0, draftedTokens - this.#drafted));
    this.series.acceptedTokens.add(Math.max(0, acceptedTokens - this.#accepted));
    this.#drafted = Math.max(this.#drafted, draftedTokens);
    this.#accepted = Math.max(this.#accepted, acceptedTokens);
  }

  #count(tokens: number): void {
    if (tokens === 0) return;
    const nowMs = performance.now();
    const { firstToken, interToken, generatedTokens } = this.series;
    generatedTokens.add(tokens);
    if (this.firstTokenMs === null) {
      this.firstTokenMs = nowMs - this.startMs;
      firstToken.observe(this.firstTokenMs / 1000);
    } else interToken.observe((nowMs - this.#lastMs) / 1000 / tokens, tokens);
    this.#lastMs = nowMs;
  }
}

function finish(
  { settings, model, requestId, ids }: WatchedRequest,
  watch: Watch,
  { result, span }: { readonly result: GenerateResult; readonly span: Span | undefined },
): void {
  const { timings, finishReason } = result;
  const { series, startMs } = watch;
  const ms = performance.now() - startMs;
  // One that ends before anybody has read of it has its first token now.
  const firstTokenMs = watch.firstTokenMs ?? (result.ids.length > 0 ? ms : null);
  const cachedTokens = timings.cachedTokens ?? 0;
  series.seconds.observe(ms / 1000);
  series.promptTokens.add(ids.length);
  series.cachedTokens.add(cachedTokens);
  watch.countDrafts(timings);
  series.ended(finishReason).add();
  const { streamed } = timings;
  if (streamed !== undefined) {
    series.diskReads.add(streamed.diskReads);
    series.diskBytes.add(streamed.diskBytes);
    series.diskWaitSeconds.add(streamed.diskWaitMs / 1000);
  }
  settings.log.info("generation", {
    ...{ request_id: requestId, model: model.id, finish: finishReason },
    ...{ prompt_tokens: ids.length, cached_tokens: cachedTokens },
    ...{ completion_tokens: result.ids.length, ms: rounded(ms) },
    first_token_ms: firstTokenMs === null ? null : rounded(firstTokenMs),
    prompt: settings.logPrompts ? model.decode(ids) : undefined,
    answer: settings.logPrompts ? result.text : undefined,
  });
  if (span === undefined) return;
  span.setAttribute("gen_ai.usage.input_tokens", ids.length);
  span.setAttribute("gen_ai.usage.output_tokens", result.ids.length);
  span.setAttribute("gen_ai.response.finish_reason", finishReason);
  if (firstTokenMs !== null) {
    span.setAttribute("gen_ai.server.time_to_first_token", firstTokenMs / 1000);
  }
  span.end();
}

function fail(
  { settings, model, requestId }: WatchedRequest,
  { series, startMs }: Watch,
  { error, span }: { readonly error: unknown; readonly span: Span | undefined },
): void {
  series.ended("failed").add();
  settings.log.warn("generation", {
    ...{ request_id: requestId, model: model.id, finish: "failed" },
    ...{ ms: rounded(performance.now() - startMs), reason: messageOf(error) },
  });
  span?.setStatus({ code: STATUS_ERROR, message: messageOf(error) });
  span?.end();
}

function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}
