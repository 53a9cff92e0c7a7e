/** The fields of Ollama's requests: read, checked, and put in this program's terms. */
import { z } from "zod";
import { withoutLatest } from "../../base/latest_tag.ts";
import type { ChatMessage, GenerateRequest } from "../../llm/types.ts";
import type { AcquireOptions } from "../model_source.ts";
import type { AppSettings } from "../options.ts";
import {
  answerFields as openaiFields,
  COUNT_MAX,
  onlyDefined,
  samplingFields,
  stopField,
  TOP_LOGPROBS_MAX,
  toSampling,
} from "../openai/answer_fields.ts";
import { type AnswerFormat, ANY_JSON_FORMAT, schemaFormat } from "../openai/format_fields.ts";
import { functionFields } from "../openai/tool_fields.ts";
import { soundKindOf } from "../../hearing/mod.ts";
import type { Body, OtherFields } from "../known_fields.ts";
import { type ContentFields, readBase64, refusal } from "../message_images.ts";
import { anyObject, harmless, listOf, optional } from "../parse_fields.ts";

const { never, isOneOf, isEmptyList } = harmless;

/** -1: no end but the model's; -2: until the context is full, which is the same here. */
const predictCount = z.union([z.literal(-1), z.literal(-2), z.int().min(1).max(COUNT_MAX)], {
  error: "expected a count, -1 or -2",
});

const optionFields = z.object({
  ...samplingFields,
  stop: stopField,
  num_predict: optional(predictCount),
  num_ctx: optional(z.int().min(1).max(COUNT_MAX)),
});

/** Options that say how a model is loaded, which is this server's own business. */
const LOADING_OPTIONS = [
  ...["num_keep", "num_batch", "num_gpu", "main_gpu", "num_thread", "num_gqa", "numa"],
  ...["low_vram", "f16_kv", "use_mmap", "use_mlock", "vocab_only", "embedding_only"],
];

/** What requests for text may have beside what is read. */
export const OTHER_FIELDS: OtherFields = {
  unsupported: {
    template: isOneOf(""),
    context: isEmptyList,
    width: never,
    height: never,
    steps: never,
    // It changes answers in ways that this server does not know.
    "options.tfs_z": isOneOf(0, 1),
  },
  hints: LOADING_OPTIONS.map((name) => `options.${name}`),
};

export const modelName = optional(z.string().max(512));

const DURATION = /^-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/;
const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  "µs": 1e-3,
  ms: 1,
  s: 1e3,
  m: 60e3,
  h: 3600e3,
};

/** "5m", "1h30m", or seconds; below 0: for good. */
export const keepAlive = optional(z.union([
  z.number(),
  z.string().regex(/^-?\d+(\.\d+)?$/).transform(Number),
  z.string().max(40).regex(DURATION).transform((text) => {
    const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
    const ms = parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNIT_MS[unit], 0);
    return (text.startsWith("-") ? -1 : 1) * ms / 1e3;
  }),
], `expected seconds, or a duration like "5m"`));

/** What a request says of its model. Names without a tag have the tag "latest" for clients. */
export function leaseOptions({ models }: AppSettings, fields: {
  readonly model?: string;
  readonly keep_alive?: number;
}): AcquireOptions & { readonly id: string | undefined } {
  const { model: name, keep_alive: seconds } = fields;
  const isThere = models.list().some(({ id }) => id === name);
  const id = isThere || name === undefined ? name : withoutLatest(name);
  if (seconds === undefined) return { id };
  return { id, keepAliveMs: seconds < 0 ? Infinity : seconds * 1e3 };
}

const { lora } = openaiFields;

/** What requests for text share. */
export const answerFields = {
  model: modelName,
  stream: optional(z.boolean()),
  keep_alive: keepAlive,
  options: optional(optionFields),
  format: optional(
    z.union([z.enum(["", "json"]), anyObject], {
      error: `expected "json" or a JSON Schema`,
    }),
  ),
  think: optional(z.union([z.boolean(), z.enum(["low", "medium", "high"])])),
  logprobs: optional(z.boolean()),
  top_logprobs: optional(z.int().min(0).max(TOP_LOGPROBS_MAX)),
  lora,
};

type AnswerFields = z.infer<z.ZodObject<typeof answerFields>>;

/** What each generation is asked; how many tokens there may be is `limited` by the prompt. */
export function toRequest(
  { options, logprobs, top_logprobs: top, lora }: Pick<
    AnswerFields,
    "options" | "logprobs" | "top_logprobs" | "lora"
  >,
): Omit<GenerateRequest, "ids" | "signal"> {
  const { stop, num_predict: count, ...sampling }: Partial<z.infer<typeof optionFields>> =
    options ?? {};
  return {
    sampling: toSampling(sampling),
    ...onlyDefined({
      stop: stop?.map((text) => text.toWellFormed()),
      maxTokens: count !== undefined && count > 0 ? count : undefined,
      logprobs: logprobs ? top ?? 0 : undefined,
      adapters: lora,
    }),
  };
}

export function toFormat(format: AnswerFields["format"]): AnswerFormat {
  if (format === undefined || format === "") return {};
  return format === "json" ? ANY_JSON_FORMAT : schemaFormat(format, "format");
}

/** Variables of templates of models that think. */
export function thinkVariables(think: AnswerFields["think"]): Body | undefined {
  if (think === undefined) return undefined;
  if (typeof think === "boolean") return { enable_thinking: think };
  return { enable_thinking: true, reasoning_effort: think };
}

export const toolsField = optional(
  listOf(
    z.object({
      type: optional(z.literal("function")),
      function: z.object(functionFields),
    }),
    { max: 128 },
  ),
);

/** Images and sounds in base64, which stand before a message's text. */
export const imagesField = optional(
  listOf(
    z.unknown().transform((text, context) => readBase64(text, refusal(context, [])) ?? z.NEVER),
    { max: 64 },
  ).meta({ items: { type: "string" } }),
);

const message = z.object({
  role: z.enum(["system", "user", "assistant", "tool"]),
  content: optional(z.string()),
  thinking: optional(z.string()),
  images: imagesField,
  tool_name: optional(z.string().max(256)),
  tool_call_id: optional(z.string().max(256)),
  tool_calls: optional(listOf(z.object({
    id: optional(z.string().max(256)),
    function: z.object({
      name: z.string().max(256),
      arguments: optional(anyObject),
    }),
  }))),
}).transform(({ role, content = "", thinking, tool_name: name, ...rest }): ChatMessage => ({
  role,
  ...withImages(content, rest.images),
  ...onlyDefined({
    reasoning_content: thinking?.toWellFormed(),
    name: name?.toWellFormed(),
    tool_call_id: rest.tool_call_id?.toWellFormed(),
    tool_calls: rest.tool_calls?.map(({ id, function: { name, arguments: args = {} } }) => ({
      ...(id !== undefined && { id }),
      type: "function",
      function: { name, arguments: args },
    })),
  }),
}));

/** A message's text behind its images and sounds. */
export function withImages(
  text: string,
  images: readonly Uint8Array[] = [],
): ContentFields {
  const content = text.toWellFormed();
  if (images.length === 0) return { content };
  // This API has one place for both: files say themselves what they are.
  const kindOf = (file: Uint8Array) => soundKindOf(file) === null ? {} : { kind: "sound" as const };
  return { content, images: images.map((file) => ({ at: 0, file, ...kindOf(file) })) };
}

export const messagesField = optional(listOf(message));
