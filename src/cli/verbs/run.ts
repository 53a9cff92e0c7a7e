/** `run [MODEL] [PROMPT]`: one answer, or a chat on the terminal when there is no PROMPT. */
import type { Command } from "commander";
import { existsSync } from "node:fs";
import { UsageError } from "../../base/errors.ts";
import { readFile } from "../../base/read_errors.ts";
import { BUILT_IN_MODEL_ID } from "../../llm/built_in_model.ts";
import type { GenerateRequest, GenerateResult, LoadedModel } from "../../llm/mod.ts";
import {
  answerParser,
  describeSpeed,
  perSecond,
  readAnswer,
  streamAnswer,
} from "../chat/answer.ts";
import { History, historyPath } from "../chat/history.ts";
import { chat } from "../chat/session.ts";
import { Interrupt } from "../interrupt.ts";
import { addFillOptions } from "../fill_options.ts";
import {
  addDraftOption,
  addLoadOptions,
  addProjectorOption,
  addTemplateOptions,
  type LoadFlags,
  loadForVerb,
  toLoadOptions,
} from "../load.ts";
import { wholeNumber } from "../option_values.ts";
import { writeErrorLine, writeJson } from "../output.ts";
import { pullIfMissing } from "../pull_progress.ts";
import { addSamplingOptions, type SamplingFlags, toSamplingOptions } from "../sampling_options.ts";
import { getEnv } from "../settings.ts";
import { createDataVerb, requireModel } from "../verb.ts";

interface Options extends LoadFlags, SamplingFlags {
  readonly maxTokens?: number;
  readonly system?: string;
  readonly image?: readonly string[];
  readonly audio?: readonly string[];
  readonly raw?: boolean;
  readonly verbose?: boolean;
  readonly private?: boolean;
  readonly json?: boolean;
}

export function runVerb(): Command {
  const verb = createDataVerb("run", "Answer a prompt, or chat on the terminal without one.")
    .argument("[model]", "a file or a pulled model; left out: $GANGLION_MODEL, or the built-in one")
    .argument("[prompt]", "what to answer")
    .option("--system <text>", "instructions that stand before the conversation")
    .option("--image <file>", "an image to look at; may be given several times", appended)
    .option("--audio <file>", "a sound to listen to; may be given several times", appended)
    .option("--raw", "continue the prompt as it is, without the chat template")
    .option(
      "--max-tokens <n>",
      "longest answer (default: the context, of models that fill in texts 256)",
      wholeNumber({ min: 1 }),
    )
    .option("--verbose", "in a chat, say how fast each answer was")
    .option("--private", "keep nothing of what is typed into a chat")
    .action(run);
  const asked = addTemplateOptions(addSamplingOptions(verb));
  return addProjectorOption(addDraftOption(addFillOptions(addLoadOptions(asked))));
}

function appended(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

async function run(
  first: string | undefined,
  second: string | undefined,
  options: Options,
): Promise<void> {
  const [path, prompt] = isPrompt(first) && second === undefined
    ? [undefined, first]
    : [first, second];
  if (prompt === undefined && (options.json || options.raw)) {
    throw new UsageError("Cannot chat with --json or --raw: give a PROMPT");
  }
  const option = options.image ? "--image" : options.audio ? "--audio" : null;
  if (option !== null && (prompt === undefined || options.raw)) {
    throw new UsageError(`Cannot use ${option} in a chat or with --raw: give a PROMPT that asks`);
  }
  const { chatTemplateFile, chatTemplateKwargs } = options;
  if (options.raw && (chatTemplateFile ?? chatTemplateKwargs) !== undefined) {
    const flag = chatTemplateFile === undefined ? "kwargs" : "file";
    throw new UsageError(`Cannot use --chat-template-${flag} with --raw: leave out one of them`);
  }
  if (options.raw && options.system !== undefined) {
    throw new UsageError("Cannot use --system with --raw: without a template it has no place");
  }
  await pullIfMissing(path ?? getEnv("GANGLION_MODEL"));
  const modelPath = findModel(path, prompt);
  await using model = await loadForVerb(modelPath, toLoadOptions(options));
  const request = { maxTokens: options.maxTokens, sampling: toSamplingOptions(options) };
  if (prompt !== undefined) {
    const { ids, given } = await encode(model, prompt, options);
    const { json, raw } = options;
    return await answerOnce(model, { ids, request: { ...request, given }, json, raw });
  }
  const { system = null, verbose = false } = options;
  const state = { ...request, system, verbose, messages: [] };
  await chat(model, state, new History(options.private ? null : historyPath()));
}

/** @throws {UsageError} that says how to ask, where one word alone names no model. */
function findModel(path: string | undefined, prompt: string | undefined): string {
  try {
    return requireModel(path, { env: "GANGLION_MODEL" });
  } catch (error) {
    if (!(error instanceof UsageError) || path === undefined || prompt !== undefined) throw error;
    const ask = `ganglion run ${BUILT_IN_MODEL_ID} ${JSON.stringify(path)}`;
    throw new UsageError(`${error.message}; to ask the built-in model: ${ask}`);
  }
}

/** One argument alone is a prompt when it has several words and names no file. */
function isPrompt(argument: string | undefined): boolean {
  return argument !== undefined && /\s/.test(argument.trim()) && !existsSync(argument);
}

async function encode(
  model: LoadedModel,
  prompt: string,
  { raw, system, image = [], audio = [] }: Options,
): Promise<Pick<GenerateRequest, "ids" | "given">> {
  if (raw) return { ids: model.encodePrompt(prompt) };
  const opening = system === undefined ? [] : [{ role: "system", content: system }];
  const read = (paths: readonly string[], kind: "image" | "sound") =>
    paths.map((path) => ({ at: 0, file: readFile(path), kind }));
  const files = [...read(image, "image"), ...read(audio, "sound")];
  const user = { role: "user", content: prompt, ...(files.length > 0 && { images: files }) };
  const messages = [...opening, user];
  if (files.length === 0) return { ids: model.encodeChat(messages) };
  using interrupt = new Interrupt();
  const images = await model.lookAt?.(messages, { signal: interrupt.signal });
  return { ids: model.encodeChat(messages, { images }), given: images?.given };
}

async function answerOnce(
  model: LoadedModel,
  job: {
    ids: readonly number[];
    request: Omit<GenerateRequest, "ids">;
    json?: boolean;
    raw?: boolean;
  },
): Promise<void> {
  using interrupt = new Interrupt();
  const { signal } = interrupt;
  const generation = model.generate({ ...job.request, ids: job.ids, signal });
  const parser = job.raw ? undefined : answerParser(model);
  if (job.json) writeJson(describeResult(await readAnswer(generation, parser, () => {})));
  else writeErrorLine(describeSpeed(await streamAnswer(generation, parser)));
  signal.throwIfAborted();
}

/** The document of `--json`; timings carry llama.cpp's names. */
function describeResult({ text, ids, finishReason, timings }: GenerateResult) {
  const { promptTokens, cachedTokens = 0, promptMs, predictedTokens, predictedMs } = timings;
  return {
    text,
    ids,
    finish_reason: finishReason,
    timings: {
      cache_n: cachedTokens,
      prompt_n: promptTokens - cachedTokens,
      prompt_ms: promptMs,
      prompt_per_second: perSecond(promptTokens - cachedTokens, promptMs),
      predicted_n: predictedTokens,
      predicted_ms: predictedMs,
      predicted_per_second: perSecond(predictedTokens, predictedMs),
      ...draftsOf(timings),
    },
  };
}

/** Tokens that were guessed ahead, where some were. */
function draftsOf({ draftedTokens, acceptedTokens = 0 }: GenerateResult["timings"]) {
  return draftedTokens === undefined
    ? {}
    : { draft_n: draftedTokens, draft_n_accepted: acceptedTokens };
}
