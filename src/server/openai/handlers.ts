/** The handlers of `/v1/chat/completions` and `/v1/completions`: body to prompts to answer. */
import type { Context } from "hono";
import type { ChatMessage, EmbedOptions, LanguageModel, SeenImages } from "../../llm/types.ts";
import { mapSteps, type Steps } from "../../base/steps.ts";
import { madeInTurns, readWork, whileWanted, withModel, type Work } from "../answers/answer.ts";
import type { Choice, Prompt } from "../answers/choices.ts";
import { gapIds } from "../answers/gap_prompt.ts";
import type { ServerEnv } from "../guards.ts";
import { fieldError } from "../http_errors.ts";
import type { AppSettings } from "../options.ts";
import { controlsOf } from "../tools/call_format.ts";
import { addressedMarksOf } from "../tools/addressed_parser.ts";
import { planAddressed } from "../tools/addressed_plan.ts";
import { harmonyMarksOf } from "../tools/harmony_marks.ts";
import { planHarmony } from "../tools/harmony_plan.ts";
import { planTools } from "../tools/tool_plan.ts";
import { behindThoughts, spelledEnd } from "../tools/bound_thoughts.ts";
import { thoughtMarksOf, ThoughtParser } from "../tools/thought_parser.ts";
import { thoughtPrelude } from "../tools/thought_prelude.ts";
import { thoughtVariables } from "../tools/thought_variables.ts";
import { type ChatRequest, chatSchema, toChatRequest } from "./chat_request.ts";
import {
  type CompletionRequest,
  completionSchema,
  type TextOrIds,
  toCompletionRequest,
} from "./completion_request.ts";
import { chatLogprobsWriter, textLogprobsWriter, type WrittenToken } from "./logprobs.ts";
import { reply } from "./reply.ts";
import { answerHead } from "./wire.ts";

/** Answers the last message of a conversation. */
export async function chatCompletions(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  const request = toChatRequest(await readWork(c, settings, chatSchema));
  return await withModel(c, settings, { id: request.model }, async (work) => {
    const { model } = work.lease;
    const { count, request: { logprobs }, conversation: { tools, prefill } } = request;
    return reply(work, {
      ...request,
      isCall: tools?.mode === "required" && prefill === undefined,
      ask: { ...await chatAsk(work, request), count },
      head: answerHead(
        "chat",
        model.id,
        logprobs === undefined ? null : chatLogprobsWriter(model),
      ),
    });
  });
}

/** The mark of thoughts and white space behind it are no more ids than these. */
const THOUGHT_IDS_MAX = 16;

/**
 * How many tokens a conversation takes, as `chatAsk` makes it; it may be longer than the context.
 * @throws {RequestError} as `chatAsk`.
 */
export async function countAsked(
  work: Work,
  { conversation, format }: Pick<ChatRequest, "conversation" | "format">,
): Promise<number> {
  const asked = { conversation, format, request: {}, isCounted: true };
  const { prompts: [{ ids }] } = await chatAsk(work, asked);
  return ids.length;
}

/**
 * A conversation as the model is asked it: rendered, with its functions, in its format; its images
 * are seen.
 * @param isCounted only its tokens are wanted: it may be longer than the context.
 * @throws {RequestError} 400 when an image cannot be seen, and as `LanguageModel.encodeChat`.
 */
export async function chatAsk(
  work: Pick<Work, "settings" | "lease" | "request">,
  { conversation, format, request, isCounted = false }:
    & Pick<ChatRequest, "conversation" | "format" | "request">
    & { readonly isCounted?: boolean },
) {
  const { model } = work.lease;
  const { messages, tools, addGenerationPrompt, rawThoughts, prefill = "" } = conversation;
  if (model.answersSources) refuseBegun(conversation);
  const marks = harmonyMarksOf(model);
  const addressed = addressedMarksOf(model);
  const plan = marks !== null
    ? planHarmony(marks, conversation, format)
    : addressed !== null
    ? planAddressed(model, addressed, conversation, format)
    : planTools(model, messages, tools, { answerSchema: format.schema, isBegun: prefill !== "" });
  const template = model.details?.chatTemplate ?? "";
  const { callMark, variables = thoughtVariables(conversation.variables, template) } = plan;
  const { priority } = request;
  const images = await lookAtImages(work, plan.messages, { isCounted, priority });
  const steps = model.inSteps.chat(plan.messages, {
    mustFit: !isCounted,
    ...(images !== null && { images }),
    ...(plan.tools !== undefined && { tools: plan.tools }),
    ...(variables !== undefined && { variables }),
    ...(addGenerationPrompt !== undefined && { addGenerationPrompt }),
  });
  const ids = await madeInTurns(work, steps);
  const seen = thoughtsOf(model, ids);
  const thoughts = rawThoughts ? null : seen;
  const isBegun = plan.opening + prefill !== "";
  const isOpened = thoughts?.isOpened === true && !isBegun;
  const { thoughtTokensMax = work.settings.thoughtTokensMax } = conversation;
  const prelude = isBegun || thoughtTokensMax === Infinity
    ? null
    : thoughtPrelude(model, thoughtTokensMax, {
      ...{ isOpened: seen?.isOpened === true, callMark, logitBias: request.sampling?.logitBias },
      isAsked: conversation.thoughtTokensMax !== undefined,
    });
  if (isBegun) {
    // A call that must be made is not thought about, nor is an answer that has begun.
    const closing = thoughts?.isOpened ? thoughts.marks.closing : "";
    const opening = model.encodeText(closing + plan.opening, { special: true });
    // One by one: a call has some hundred thousand arguments at most.
    for (const id of opening) ids.push(id);
    const begun = model.inSteps.text(prefill, { mustFit: !isCounted });
    for (const id of await madeInTurns(work, begun)) ids.push(id);
  }
  const bound = plan.grammar ?? format.grammar;
  const isDue = plan.grammar === undefined || plan.isFormat === true;
  const grammar = bound && isOpened ? behindThoughts(bound, thoughts, { isDue }) : bound;
  const newParser = thoughts === null
    ? plan.newParser
    : () => new ThoughtParser({ ...thoughts, isOpened, callMark, answer: plan.newParser?.() });
  return {
    prompts: [{ ids, echo: "" }],
    looserGrammar: plan.looserGrammar,
    grammarParam: plan.grammar === undefined || plan.isFormat ? format.param : "tools",
    request: {
      ...request,
      ...(grammar !== undefined && { grammar }),
      ...(prelude !== null && { prelude }),
      ...(images !== null && { given: images.given }),
    },
    newParser,
  };
}

/**
 * Of a model that answers a source: what would have to stand in its answer, or before it.
 * @throws {RequestError} 400 for an answer that is begun, and for functions.
 */
function refuseBegun({ tools, prefill }: ChatRequest["conversation"]): void {
  if (tools !== null) {
    throw fieldError(
      "tools",
      `This model answers a source and was never told of functions: leave out "tools"`,
      "unsupported_parameter",
    );
  }
  if (prefill === undefined) return;
  throw fieldError(
    "messages",
    "This model answers a source and goes on with no answer: let the last message be a user's",
    "unsupported_parameter",
  );
}

/**
 * What the model sees of the messages' images, or hears of their sounds, as long as somebody waits
 * for it; null: none have any, or it reads neither, as whoever encodes them will say.
 */
async function lookAtImages(
  work: Pick<Work, "settings" | "lease" | "request">,
  messages: readonly ChatMessage[],
  options: { readonly isCounted: boolean; readonly priority?: number },
): Promise<SeenImages | null> {
  const { model } = work.lease;
  if (model.lookAt === undefined || messages.every(({ images }) => !images)) return null;
  return await whileWanted(work, (signal) => model.lookAt!(messages, { ...options, signal }));
}

/** Whether a model's template knows thoughts, and opened them at the end of a prompt. */
function thoughtsOf(model: LanguageModel, ids: readonly number[]) {
  const marks = thoughtMarksOf(model.details?.chatTemplate ?? "");
  if (marks === null) return null;
  const controls = controlsOf(model, [marks.open, marks.close]);
  const end = spelledEnd(model, ids.slice(-THOUGHT_IDS_MAX).filter((id) => id >= 0), controls);
  return { marks, controls, isOpened: end.trimEnd().endsWith(marks.open) };
}

/** Continues prompts. */
export async function completions(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  const request = toCompletionRequest(await readWork(c, settings, completionSchema));
  return await withModel(c, settings, { id: request.model }, async (work) => {
    const { model } = work.lease;
    const steps = mapSteps(request.prompts, (prompt) => toPrompt(model, prompt, request));
    const prompts = await madeInTurns(work, steps);
    const { bestOf, count } = request;
    return await reply(work, {
      ...request,
      ask: { prompts, count: bestOf, request: request.request, grammarParam: request.grammarParam },
      head: answerHead(
        "text",
        model.id,
        request.showsLogprobs ? textLogprobsWriter(model) : null,
      ),
      ...(bestOf > count && { choose: (choices) => best(choices, count) }),
      ...(request.echo && request.showsLogprobs && {
        echoTokens: (signal) => {
          const { logprobs = 0, priority, adapters } = request.request;
          return echoTokens(model, prompts, { top: logprobs, signal, priority, adapters });
        },
      }),
    });
  });
}

/**
 * How likely the model found the tokens of the prompts, as evaluations ask.
 * @throws {RequestError} 400 when it does not say, or a prompt does not fit.
 */
async function echoTokens(
  model: LanguageModel,
  prompts: readonly Prompt[],
  { top, ...options }: EmbedOptions & { readonly top: number },
): Promise<WrittenToken[][]> {
  if (model.promptLogprobs === undefined) {
    throw fieldError(
      "echo",
      `This model gives no log probabilities of prompts: leave out "echo" or "logprobs"`,
      "unsupported_parameter",
    );
  }
  const all: WrittenToken[][] = [];
  for (const { ids } of prompts) {
    options.signal?.throwIfAborted();
    const rest = await model.promptLogprobs(ids, top, options);
    all.push([{ id: ids[0], logprob: null, top: null }, ...rest]);
  }
  return all;
}

function* toPrompt(
  model: LanguageModel,
  prompt: TextOrIds,
  { echo, suffix }: CompletionRequest,
): Steps<Prompt> {
  const { inSteps } = model;
  const ids = "text" in prompt ? yield* inSteps.prompt(prompt.text, { mustFit: true }) : prompt.ids;
  const text = "text" in prompt ? prompt.text : model.decode(prompt.ids);
  if (suffix === undefined) return { ids, echo: echo ? text : "" };
  const before = "text" in prompt ? yield* inSteps.text(prompt.text) : prompt.ids;
  const after = yield* inSteps.text(suffix.toWellFormed(), { mustFit: true });
  return { ids: gapIds(model, { before, after }), echo: echo ? text : "" };
}

/** The `count` choices whose tokens are most probable on average, best first. */
function best(choices: readonly Choice[], count: number): Choice[] {
  const score = ({ logprobs }: Choice) =>
    logprobs.reduce((sum, { logprob }) => sum + logprob, 0) / Math.max(1, logprobs.length);
  return [...choices].sort((a, b) => score(b) - score(a)).slice(0, count);
}
