/**
 * The fields that chat and plain completions share: read, checked, and named when they are wrong.
 * Fields that this server does not know are ignored; fields that it knows but cannot honour are
 * refused unless their value asks for nothing.
 */
import { z } from "zod";
import type { SamplingOptions } from "../llm/types.ts";
import { fieldError } from "./http_errors.ts";

/** What every completion request asks for. */
export interface AnswerOptions {
  /** The model's name; left out: the default model. */
  readonly model?: string;
  readonly stream: boolean;
  /** A stream ends with a chunk that counts the tokens. */
  readonly includeUsage: boolean;
  readonly maxTokens?: number;
  readonly stop?: readonly string[];
  readonly ignoreEnd?: boolean;
  readonly sampling: SamplingOptions;
}

/** Many clients send null for "not set". */
export function optional<T extends z.ZodType>(schema: T) {
  return schema.nullish().transform((value) => value ?? undefined);
}

const COUNT_MAX = 2 ** 31 - 1;
const STOP_COUNT_MAX = 16;
const STOP_CHARS_MAX = 1024;
const BIAS_COUNT_MAX = 10_000;

const tokenCount = z.int().min(1).max(COUNT_MAX);
const penalty = z.number().min(-2).max(2);

/** The fields, as they are named on the wire. */
export const answerFields = {
  model: optional(z.string().max(512)),
  stream: optional(z.boolean()),
  stream_options: optional(z.object({ include_usage: optional(z.boolean()) })),
  max_tokens: optional(tokenCount),
  stop: optional(z.preprocess(
    (value) => (typeof value === "string" ? [value] : value),
    z.array(z.string().min(1).max(STOP_CHARS_MAX)).max(STOP_COUNT_MAX),
  )),
  ignore_eos: optional(z.boolean()),
  seed: optional(z.int()),
  temperature: optional(z.number().min(0).max(5)),
  top_k: optional(z.int().min(0).max(COUNT_MAX)),
  top_p: optional(z.number().min(0).max(1)),
  min_p: optional(z.number().min(0).max(1)),
  typical_p: optional(z.number().min(0).max(1)),
  repeat_penalty: optional(z.number().gt(0).max(10)),
  repeat_last_n: optional(z.int().min(-1).max(COUNT_MAX)),
  frequency_penalty: optional(penalty),
  presence_penalty: optional(penalty),
  logit_bias: optional(
    z.record(z.string().regex(/^\d{1,9}$/, "expected a token id"), z.number().min(-100).max(100))
      .refine((bias) => Object.keys(bias).length <= BIAS_COUNT_MAX, "too many ids"),
  ),
};

type AnswerFields = z.infer<z.ZodObject<typeof answerFields>>;

/** The wire's fields in this program's terms. */
export function toAnswerOptions(fields: AnswerFields): AnswerOptions {
  return {
    model: fields.model,
    stream: fields.stream ?? false,
    includeUsage: fields.stream_options?.include_usage ?? false,
    maxTokens: fields.max_tokens,
    stop: fields.stop?.map((text) => text.toWellFormed()),
    ignoreEnd: fields.ignore_eos,
    sampling: samplingOptions(fields),
  };
}

/** Only what was asked for: a field that is there, even if undefined, could hide a default. */
function samplingOptions(fields: AnswerFields): SamplingOptions {
  const { seed, logit_bias: bias } = fields;
  const options: SamplingOptions = {
    temperature: fields.temperature,
    topK: fields.top_k,
    topP: fields.top_p,
    minP: fields.min_p,
    typicalP: fields.typical_p,
    repeatPenalty: fields.repeat_penalty,
    repeatLastN: fields.repeat_last_n,
    frequencyPenalty: fields.frequency_penalty,
    presencePenalty: fields.presence_penalty,
    logitBias: bias && new Map(Object.entries(bias).map(([id, value]) => [Number(id), value])),
    // llama.cpp's clients write -1 for "any".
    seed: seed === -1 ? undefined : seed,
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/**
 * Reads `body` by `schema`.
 * @throws {RequestError} 400 that names the first field at fault.
 */
export function parseFields<T extends z.ZodType>(
  schema: T,
  body: Readonly<Record<string, unknown>>,
): z.output<T> {
  refuseUnsupported(body);
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const name = pathName(issue.path);
  const reason = issue.message.replace(/^Invalid input: /, "").replace(/^Invalid/, "invalid");
  throw fieldError(name, `Invalid value for "${name}": ${reason}`);
}

/** `messages[0].content`, as OpenAI writes it. */
export function pathName(path: readonly PropertyKey[]): string {
  return path.reduce<string>((name, key) => {
    if (typeof key === "number") return `${name}[${key}]`;
    return name === "" ? String(key).slice(0, 100) : `${name}.${String(key).slice(0, 100)}`;
  }, "");
}

function refuseUnsupported(body: Readonly<Record<string, unknown>>): void {
  for (const [name, harmless] of Object.entries(UNSUPPORTED)) {
    const value = Object.hasOwn(body, name) ? body[name] : null;
    if (value === null || value === undefined || harmless(value)) continue;
    throw fieldError(
      name,
      `"${name}" is not supported by this server: leave it out`,
      "unsupported_parameter",
    );
  }
}

const isEmptyList = (value: unknown) => Array.isArray(value) && value.length === 0;
const isOne = (value: unknown) => value === 1;
const isFalse = (value: unknown) => value === false;
const isNoChoice = (value: unknown) => value === "none" || value === "auto";
const never = () => false;

/** Fields that cannot be honoured yet, each with the values that ask for nothing. */
const UNSUPPORTED: Readonly<Record<string, (value: unknown) => boolean>> = {
  n: isOne,
  best_of: isOne,
  logprobs: isFalse,
  top_logprobs: (value) => value === 0,
  tools: isEmptyList,
  tool_choice: isNoChoice,
  functions: isEmptyList,
  function_call: isNoChoice,
  response_format: (value) =>
    typeof value === "object" && value !== null && "type" in value && value.type === "text",
  suffix: (value) => value === "",
  audio: never,
  modalities: (value) => Array.isArray(value) && value.every((item) => item === "text"),
  prediction: never,
  web_search_options: never,
  grammar: (value) => value === "",
  json_schema: never,
};
