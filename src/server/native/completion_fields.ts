/** The fields of `/completion` and `/infill`, in llama.cpp's names. */
import { z } from "zod";
import type { Ask } from "../answers/choices.ts";
import { withOthers } from "../known_fields.ts";
import { listOf, optional } from "../parse_fields.ts";
import {
  ANSWER_HINTS,
  answerFields,
  COUNT_MAX,
  samplingFields,
  toAnswerOptions,
  TOP_LOGPROBS_MAX,
  UNSUPPORTED_ANSWER_FIELDS,
} from "../openai/answer_fields.ts";
import { textsOrIds } from "../openai/completion_request.ts";
import { formatFields, toAnswerFormat } from "../openai/format_fields.ts";

const PROMPT_COUNT_MAX = 64;
const FILE_COUNT_MAX = 256;
const PATH_CHARS_MAX = 256;
/** llama.cpp's bias that forbids a token. */
const NEVER = -100;

/** Pairs of an id and its bias; `false` forbids it. */
const biasPairs = listOf(
  z.tuple([
    z.int().min(0).max(COUNT_MAX),
    z.union([z.number().min(-100).max(100), z.literal(false)]),
  ]),
  { max: 10_000 },
).transform((pairs) =>
  Object.fromEntries(pairs.map(([id, bias]) => [String(id), bias === false ? NEVER : bias]))
);

const { model, stream, stop, priority, ignore_eos, logit_bias, lora } = answerFields;
const { grammar, json_schema } = formatFields;

/** What both have. */
const fields = {
  ...samplingFields,
  ...{ grammar, json_schema, model, stream, stop, priority, ignore_eos, lora },
  logit_bias: z.union([biasPairs, logit_bias], "expected pairs of a token id and its bias"),
  /** -1, -2: until the model ends, or the context is full. 0: the prompt is read, no more. */
  n_predict: optional(
    z.union([z.literal(-1), z.literal(-2), z.int().min(0).max(COUNT_MAX)], {
      error: "expected a count, or -1",
    }),
  ),
  n_probs: optional(z.int().min(0).max(TOP_LOGPROBS_MAX)),
  /** Columns that lines begin with: the answer ends before one that stands further out. */
  n_indent: optional(z.int().min(0).max(COUNT_MAX)),
  /** Milliseconds from the answer's first text, after which no further line is begun. */
  t_max_predict_ms: optional(z.int().min(-1).max(COUNT_MAX)),
  return_tokens: optional(z.boolean()),
  /** Paths of what is wanted of an answer: "content", "timings/prompt_n". */
  response_fields: optional(listOf(z.string().max(PATH_CHARS_MAX), { max: 64 })),
};

/** What both requests ask for. */
export type AnswerFields = z.output<z.ZodObject<typeof fields>>;

const { n_probs: _read, ...unsupported } = UNSUPPORTED_ANSWER_FIELDS;
const others = {
  unsupported,
  hints: [...ANSWER_HINTS, "n_discard", "min_keep", "t_max_prompt_ms", "post_sampling_probs"],
};

export const completionSchema = withOthers(
  z.object({ ...fields, prompt: textsOrIds(PROMPT_COUNT_MAX) }),
  others,
);

export const infillSchema = withOthers(
  z.object({
    ...fields,
    input_prefix: z.string(),
    input_suffix: z.string(),
    input_extra: optional(listOf(
      z.object({ filename: optional(z.string()), text: z.string() }),
      { max: FILE_COUNT_MAX },
    )),
    prompt: optional(z.string()),
  }),
  others,
);

/** What each generation is asked. */
export function toAsked(fields: AnswerFields): Pick<Ask, "request" | "grammarParam"> {
  const { n_predict: count = -1, n_probs: top = 0, ...rest } = fields;
  const { grammar, param } = toAnswerFormat(rest);
  const { request } = toAnswerOptions(rest, {
    maxTokens: count < 0 ? undefined : count,
    logprobs: top > 0 ? top : undefined,
    grammar,
  });
  return { request, ...(param !== undefined && { grammarParam: param }) };
}
