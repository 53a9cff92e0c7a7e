/** Choices to the answers of chats and completions, which differ in prompts and wire form. */
import type { LanguageModel } from "../../llm/types.ts";
import { answerStream, whileWanted, type Work } from "../answers/answer.ts";
import { type Ask, type Choice, collectChoices, startChoices } from "../answers/choices.ts";
import { fieldError } from "../http_errors.ts";
import type { WrittenToken } from "./logprobs.ts";
import { withPrefixKey } from "../prefix_key.ts";
import { type AnswerHead, cachedOf, createChunkWriter } from "./wire.ts";
import { DONE_EVENT, EVENT_STREAM, type Usage, wholeAnswer } from "./wire.ts";

export interface Reply {
  readonly ask: Ask;
  readonly head: AnswerHead;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** The answer is to be calls: it has no text, not even an empty one. */
  readonly isCall?: boolean;
  /** Finds out how likely the prompts were, one after another, where answers repeat that, too. */
  readonly echoTokens?: (signal: AbortSignal) => Promise<readonly (readonly WrittenToken[])[]>;
  /** The client's name for the beginning that its prompts have in common. */
  readonly cacheKey?: string;
  /** Of each prompt's choices, those that are shown, in order; default: all. */
  readonly choose?: (choices: readonly Choice[]) => readonly Choice[];
}

/**
 * Answers, at once with a stream or later in one piece.
 * @throws {RequestError} when the model refuses the first prompt, or fails before the answer began.
 */
export async function reply(work: Work, parts: Reply): Promise<Response> {
  const { ask, cacheKey } = parts;
  checkBias(work.lease.model, ask);
  const [{ ids }] = ask.prompts;
  return withPrefixKey(await answer(work, parts), work.request, { cacheKey, ids });
}

async function answer(work: Work, parts: Reply): Promise<Response> {
  const { ask, head } = parts;
  if (parts.stream) {
    return answerStream(
      work,
      EVENT_STREAM,
      (signal) =>
        parts.echoTokens === undefined
          ? chunks(startChoices(work, ask, signal), parts)
          : chunksBehindEcho(work, parts, signal),
    );
  }
  return await whileWanted(work, async (signal) => {
    const count = ask.prompts.length * ask.count;
    const tokens = await parts.echoTokens?.(signal) ?? [];
    const choices = await collectChoices(startChoices(work, ask, signal), count);
    const ofPrompt = ask.prompts.map((_, index) =>
      choices.slice(index * ask.count, (index + 1) * ask.count)
    );
    const shown = ofPrompt.map(parts.choose ?? ((all) => all));
    return Response.json(wholeAnswer(head, shown.flat(), {
      usage: usageOf(ask, choices),
      timings: choices.map(({ result }) => result.timings),
      echoes: shown.flatMap((all, index) =>
        all.map(() => ({ text: ask.prompts[index].echo, tokens: tokens[index] ?? [] }))
      ),
    }));
  });
}

/** @throws {RequestError} 400 for a bias on an id that is no token's. */
export function checkBias({ details }: LanguageModel, { request: { sampling } }: Ask): void {
  const { vocabSize = Infinity } = details ?? {};
  for (const id of sampling?.logitBias?.keys() ?? []) {
    if (id < vocabSize) continue;
    throw fieldError(
      "logit_bias",
      `"logit_bias" has the token id ${id}: this model's ids are 0 to ${vocabSize - 1}`,
    );
  }
}

type Ended = Pick<Choice, "result" | "reasoningTokens">;

/** Of a prompt with several answers, the first one's cache counts: it is one prompt. */
function usageOf(ask: Ask, choices: readonly Ended[]): Usage {
  const firsts = ask.prompts.map((_, index) => choices[index * ask.count].result.timings);
  return {
    promptTokens: ask.prompts.reduce((sum, { ids }) => sum + ids.length, 0),
    cachedTokens: firsts.reduce((sum, timings) => sum + cachedOf(timings), 0),
    completionTokens: choices.reduce((sum, { result }) => sum + result.ids.length, 0),
    reasoningTokens: choices.reduce((sum, each) => sum + each.reasoningTokens, 0),
  };
}

async function* chunksBehindEcho(work: Work, parts: Reply, signal: AbortSignal) {
  const tokens = await parts.echoTokens!(signal);
  yield* chunks(startChoices(work, parts.ask, signal), parts, tokens);
}

async function* chunks(
  events: ReturnType<typeof startChoices>,
  { ask, head, includeUsage, isCall }: Reply,
  tokens: readonly (readonly WrittenToken[])[] = [],
): AsyncGenerator<string> {
  const writer = createChunkWriter(head, { includeUsage, isCall });
  const ended: Ended[] = [];
  for (const index of Array(ask.prompts.length * ask.count).keys()) {
    const opening = writer.opening(index);
    if (opening !== "") yield opening;
    const prompt = Math.floor(index / ask.count);
    const { echo } = ask.prompts[prompt];
    if (echo !== "") {
      yield writer.piece(index, [{ kind: "text", text: echo }], tokens[prompt] ?? []);
    }
  }
  for await (const event of events) {
    const { index } = event;
    if (event.kind === "piece") {
      yield writer.piece(index, event.deltas, event.logprobs);
      continue;
    }
    ended[index] = event;
    yield writer.finish(index, event.finish, event.result);
  }
  if (includeUsage) yield writer.usage(usageOf(ask, ended));
  yield DONE_EVENT;
}
