/**
 * The fields that OpenAI's requests for text share: read, checked, and named when they are wrong.
 * Fields that it knows but cannot honour are refused unless their value asks for nothing.
 */
import { z } from "zod";
import type { GenerateRequest, SamplingOptions } from "../../llm/types.ts";
import { stepsNamed } from "../../llm/sampling_defaults.ts";
import type { UnsupportedFields } from "../known_fields.ts";
import { harmless, listOf, optional } from "../parse_fields.ts";

/** What every request for text asks for. */
export interface AnswerOptions {
  /** The model's name; left out: the default model. */
  readonly model?: string;
  readonly stream: boolean;
  /** A stream ends with a chunk that counts the tokens. */
  readonly includeUsage: boolean;
  /** Answers to each prompt. */
  readonly count: number;
  /** The client's name for the beginning that its prompts have in common. */
  readonly cacheKey?: string;
  /** What each generation is asked. */
  readonly request: Omit<GenerateRequest, "ids" | "signal">;
}

export const COUNT_MAX = 2 ** 31 - 1;
/** OpenAI takes 128: each is as much work as a request. */
export const CHOICES_MAX = 16;
export const TOP_LOGPROBS_MAX = 20;
const PRIORITY_MAX = 1_000_000;
/** Larger is later: beside others it has one step of sixteen (src/engine/scheduler.ts). */
export const BACKGROUND_PRIORITY = PRIORITY_MAX;
const STOP_COUNT_MAX = 16;
const STOP_CHARS_MAX = 1024;
const BREAKER_COUNT_MAX = 64;
const ADAPTERS_MAX = 64;
/** Either way: more of an adapter makes no sense of its own. */
const ADAPTER_SCALE_MAX = 1000;

/** llama.cpp's: so much of these adapters, and nothing of others. */
export const adapterShares = listOf(
  z.object({
    id: z.int().min(0).max(COUNT_MAX),
    scale: z.number().min(-ADAPTER_SCALE_MAX).max(ADAPTER_SCALE_MAX),
  }),
  { max: ADAPTERS_MAX },
);
const BREAKER_CHARS_MAX = 256;
const BIAS_COUNT_MAX = 10_000;

export const tokenCount = z.int().min(1).max(COUNT_MAX);
/** Tokens of an answer; clients of LM Studio and llama.cpp write -1 for "until it ends". */
export function answerTokens(min = 1) {
  const count = z.int().min(min).max(COUNT_MAX);
  return optional(z.union([z.literal(-1).transform(() => Infinity), count], {
    error: `expected an integer of at least ${min}, or -1`,
  }));
}
const penalty = z.number().min(-2).max(2);
const stopText = z.string().min(1).max(STOP_CHARS_MAX);

/** How ids are chosen; Ollama's options have these, too. */
export const samplingFields = {
  seed: optional(z.int()),
  temperature: optional(z.number().min(0).max(5)),
  /** 0 is all, and so is vLLM's -1. */
  top_k: optional(z.int().min(-1).max(COUNT_MAX)),
  top_p: optional(z.number().min(0).max(1)),
  min_p: optional(z.number().min(0).max(1)),
  typical_p: optional(z.number().min(0).max(1)),
  repeat_penalty: optional(z.number().gt(0).max(10)),
  repeat_last_n: optional(z.int().min(-1).max(COUNT_MAX)),
  frequency_penalty: optional(penalty),
  presence_penalty: optional(penalty),
  // llama.cpp's; -1 is off.
  top_n_sigma: optional(z.number().min(-1).max(100)),
  xtc_probability: optional(z.number().min(0).max(1)),
  xtc_threshold: optional(z.number().min(0).max(1)),
  dynatemp_range: optional(z.number().min(0).max(5)),
  dynatemp_exponent: optional(z.number().min(0).max(100)),
  dry_multiplier: optional(z.number().min(0).max(100)),
  /** Below 1: as if it was left out. */
  dry_base: optional(z.number().min(0).max(100)),
  dry_allowed_length: optional(z.int().min(0).max(COUNT_MAX)),
  dry_penalty_last_n: optional(z.int().min(-1).max(COUNT_MAX)),
  dry_sequence_breakers: optional(
    listOf(z.string().max(BREAKER_CHARS_MAX), { max: BREAKER_COUNT_MAX }),
  ),
  mirostat: optional(z.union([z.literal(0), z.literal(1), z.literal(2)], "expected 0, 1 or 2")),
  mirostat_tau: optional(z.number().min(0).max(100)),
  mirostat_eta: optional(z.number().min(0).max(1)),
  adaptive_target: optional(z.number().max(1)),
  adaptive_decay: optional(z.number().min(0).max(1)),
  /** Names of steps, or their letters. */
  samplers: optional(
    z.union([listOf(z.string().max(32), { max: 32 }), z.string().max(32).transform(letters)])
      .transform((names, context) => stepsNamed(names) ?? unknownSteps(context)),
  ),
};

/** Texts that end an answer: one, or a list. */
export const stopField = optional(
  z.union([
    stopText.transform((text) => [text]),
    listOf(stopText, { max: STOP_COUNT_MAX }),
  ], `expected up to ${STOP_COUNT_MAX} strings of 1 to ${STOP_CHARS_MAX} characters`),
);

function letters(text: string): string[] {
  return [...text];
}

function unknownSteps(context: z.RefinementCtx): never {
  const names = "top_n_sigma, top_k, typ_p, top_p, min_p, xtc, temperature, penalties, dry";
  context.addIssue(`expected names of samplers: ${names}`);
  return z.NEVER;
}

/** The fields, as they are named on the wire. */
export const answerFields = {
  ...samplingFields,
  model: optional(z.string().max(512)),
  stream: optional(z.boolean()),
  stream_options: optional(z.object({
    include_usage: optional(z.boolean()),
    include_obfuscation: optional(z.literal(false, "streams are not padded by this server")),
  })),
  max_tokens: answerTokens(),
  stop: stopField,
  ignore_eos: optional(z.boolean()),
  prompt_cache_key: optional(z.string().max(1024)),
  n: optional(z.int().min(1).max(CHOICES_MAX)),
  /** vLLM's: smaller ones are served first. */
  priority: optional(z.int().min(-PRIORITY_MAX).max(PRIORITY_MAX)),
  /**
   * Milliseconds at the model, its queue included, its loading not, after which an answer ends
   * with what it has.
   */
  max_time_ms: optional(z.int().min(1).max(COUNT_MAX)),
  /** Adapters of one request, and no others; left out: those of the model. */
  lora: optional(adapterShares),
  logit_bias: optional(
    z.record(z.string().regex(/^\d{1,9}$/, "expected a token id"), z.number().min(-100).max(100))
      .refine((bias) => Object.keys(bias).length <= BIAS_COUNT_MAX, "too many ids"),
  ),
};

type AnswerFields = z.infer<z.ZodObject<typeof answerFields>>;
export type SamplingFields = Partial<
  z.infer<z.ZodObject<typeof samplingFields>> & Pick<AnswerFields, "logit_bias">
>;

/** The wire's fields in this program's terms. */
export function toAnswerOptions(
  fields: Partial<AnswerFields>,
  more: Partial<GenerateRequest> = {},
): AnswerOptions {
  return {
    model: fields.model,
    stream: fields.stream ?? false,
    includeUsage: fields.stream_options?.include_usage ?? false,
    count: fields.n ?? 1,
    ...onlyDefined({ cacheKey: fields.prompt_cache_key }),
    request: {
      sampling: toSampling(fields),
      ...onlyDefined({
        maxTokens: fields.max_tokens,
        stop: fields.stop?.map((text) => text.toWellFormed()),
        ignoreEnd: fields.ignore_eos,
        priority: fields.priority === undefined ? undefined : -fields.priority,
        deadlineMs: fields.max_time_ms,
        adapters: fields.lora,
        ...more,
      }),
    },
  };
}

/** Only what was asked for: a field that is there, even if undefined, could hide a default. */
export function toSampling(fields: SamplingFields): SamplingOptions {
  const { seed, logit_bias: bias } = fields;
  return onlyDefined({
    temperature: fields.temperature,
    topK: fields.top_k === -1 ? 0 : fields.top_k,
    topP: fields.top_p,
    minP: fields.min_p,
    typicalP: fields.typical_p,
    repeatPenalty: fields.repeat_penalty,
    repeatLastN: fields.repeat_last_n,
    frequencyPenalty: fields.frequency_penalty,
    presencePenalty: fields.presence_penalty,
    topNSigma: fields.top_n_sigma,
    xtcProbability: fields.xtc_probability,
    xtcThreshold: fields.xtc_threshold,
    temperatureRange: fields.dynatemp_range,
    temperatureExponent: fields.dynatemp_exponent,
    dryMultiplier: fields.dry_multiplier,
    dryBase: (fields.dry_base ?? 0) < 1 ? undefined : fields.dry_base,
    dryAllowedLength: fields.dry_allowed_length,
    dryLastN: fields.dry_penalty_last_n,
    dryBreakers: fields.dry_sequence_breakers,
    mirostat: fields.mirostat,
    mirostatTau: fields.mirostat_tau,
    mirostatEta: fields.mirostat_eta,
    adaptiveTarget: fields.adaptive_target,
    adaptiveDecay: fields.adaptive_decay,
    steps: fields.samplers,
    logitBias: bias && new Map(Object.entries(bias).map(([id, value]) => [Number(id), value])),
    // llama.cpp's clients write -1 for "any".
    seed: seed === -1 ? undefined : seed,
  });
}

export function onlyDefined<T extends object>(value: T): T {
  return Object.fromEntries(
    Object.entries(value).filter(([, item]) => item !== undefined),
  ) as T;
}

const { never, isEmptyList, isOneOf } = harmless;

/** What OpenAI's and llama.cpp's requests may ask for that this server does not do. */
export const UNSUPPORTED_ANSWER_FIELDS: UnsupportedFields = {
  audio: never,
  modalities: (value) => Array.isArray(value) && value.every((item) => item === "text"),
  moderation: never,
  web_search_options: never,
  functions: isEmptyList,
  function_call: isOneOf("none", "auto"),
  store: isOneOf(false),
  service_tier: isOneOf("auto", "default"),
  verbosity: isOneOf("medium"),
  n_probs: isOneOf(0),
  continue_final_message: isOneOf(false),
};

/** What clients of all kinds send along that answers are the same without. */
export const CLIENT_HINTS = [
  ...["user", "safety_identifier", "metadata", "prompt_cache_retention", "prompt_cache_options"],
  "request_id",
];

/** The same of requests for text: OpenAI's, llama.cpp's, vLLM's. */
export const ANSWER_HINTS = [
  ...CLIENT_HINTS,
  "prediction",
  ...["cache_prompt", "id_slot", "n_keep", "timings_per_token", "return_progress"],
  ...["cache_salt", "spaces_between_special_tokens"],
];
