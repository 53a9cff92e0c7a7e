/** The body of `POST /v1/responses`: parsed into what a model is asked. Nothing is stored. */
import { z } from "zod";
import { type Body, type UnsupportedFields, withOthers } from "../known_fields.ts";
import { anyObject, harmless, listOf, optional } from "../parse_fields.ts";
import {
  answerFields,
  CLIENT_HINTS,
  samplingFields,
  toAnswerOptions,
  tokenCount,
  TOP_LOGPROBS_MAX,
} from "./answer_fields.ts";
import { type ChatRequest, reasoningEffort, withEffort } from "./chat_request.ts";
import { ANY_JSON_FORMAT, jsonSchema, schemaFormat } from "./format_fields.ts";
import { inputSchema } from "./response_input.ts";
import { flattened, nameWithin, type OwnName } from "./namespaces.ts";
import { chooseTools, functionFields, functionName, type ToolChoice } from "./tool_fields.ts";

/** A request for a response, as a chat, and what its answer repeats of it. */
export interface ResponseRequest extends ChatRequest {
  /** Fields of the answer that are the request's. */
  readonly repeated: Body;
  /** How the client knows functions of namespaces, by the names that the model sees. */
  readonly ownNames: ReadonlyMap<string, OwnName>;
}

const TOOLS_MAX = 128;
const LOGPROBS = "message.output_text.logprobs";

const ONLY_FUNCTIONS = 'this server knows tools of type "function" and "namespace" only';
const namedFunction = z.object({
  type: z.literal("function", ONLY_FUNCTIONS),
  namespace: optional(functionName),
  name: functionName,
});

const functionTool = z.object({ type: z.literal("function", ONLY_FUNCTIONS), ...functionFields });

/** Codex offers a search that reaches nothing outside, unasked: no model misses that. */
const NO_SEARCH = `${ONLY_FUNCTIONS}, and searches the web for nobody`;
const idleSearch = z.object({
  type: z.literal("web_search"),
  external_web_access: z.literal(false, NO_SEARCH),
});

const tool = z.discriminatedUnion("type", [
  functionTool,
  z.object({
    type: z.literal("namespace"),
    name: functionName,
    description: optional(z.string()),
    tools: listOf(functionTool, { min: 1, max: TOOLS_MAX }),
  }),
  idleSearch,
], ONLY_FUNCTIONS);

const textFormat = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text") }),
  z.object({ type: z.literal("json_object") }),
  z.object({
    type: z.literal("json_schema"),
    name: optional(z.string().max(256)),
    schema: jsonSchema,
    strict: optional(z.boolean()),
  }),
], `expected a type of "text", "json_object" or "json_schema"`);

const { never, isOneOf, isEmptyList } = harmless;

/** What would need a memory between requests, or tools of this server's own. */
const UNSUPPORTED: UnsupportedFields = {
  previous_response_id: never,
  conversation: never,
  prompt: never,
  background: isOneOf(false),
  store: isOneOf(false),
  truncation: isOneOf("disabled"),
  context_management: isEmptyList,
  moderation: never,
  image: never,
  service_tier: isOneOf("auto", "default"),
};

export const responseSchema = withOthers(
  z.object({
    model: answerFields.model,
    input: inputSchema,
    instructions: optional(z.string()),
    stream: answerFields.stream,
    stream_options: answerFields.stream_options,
    max_output_tokens: optional(tokenCount),
    ...samplingFields,
    top_logprobs: optional(z.int().min(0).max(TOP_LOGPROBS_MAX)),
    include: optional(listOf(z.enum([LOGPROBS, "reasoning.encrypted_content"]))),
    tools: optional(listOf(tool, { max: TOOLS_MAX })),
    tool_choice: optional(z.union([
      z.enum(["none", "auto", "required"]),
      namedFunction,
      z.object({
        type: z.literal("allowed_tools"),
        mode: z.enum(["auto", "required"]),
        tools: listOf(namedFunction, { min: 1, max: TOOLS_MAX }),
      }),
    ], `expected "none", "auto", "required", a function or allowed_tools`)),
    parallel_tool_calls: optional(z.boolean()),
    max_tool_calls: optional(z.int().min(1)),
    text: optional(z.object({
      format: optional(textFormat),
      verbosity: optional(z.literal("medium", "not supported by this server")),
    })),
    reasoning: optional(z.object({ effort: reasoningEffort })),
    metadata: optional(anyObject),
    prompt_cache_key: answerFields.prompt_cache_key,
    priority: answerFields.priority,
    lora: answerFields.lora,
    max_time_ms: answerFields.max_time_ms,
  }),
  {
    unsupported: UNSUPPORTED,
    hints: [...CLIENT_HINTS, "reasoning.summary", "reasoning.generate_summary"],
  },
);

/** @throws {RequestError} 400 that names the field at fault. */
export function toResponseRequest(fields: z.output<typeof responseSchema>): ResponseRequest {
  const { instructions, input, include = [], top_logprobs: top, text, tools = [] } = fields;
  const { functions, ownNames } = flattened(tools);
  const choice = choiceOf(fields.tool_choice);
  const isParallel = fields.parallel_tool_calls ?? true;
  const opening = instructions === undefined
    ? []
    : [{ role: "system", content: instructions.toWellFormed() }];
  const wantsLogprobs = top !== undefined || include.includes(LOGPROBS);
  const variables = withEffort(undefined, fields.reasoning?.effort);
  const options = toAnswerOptions(
    { ...fields, max_tokens: fields.max_output_tokens },
    { logprobs: wantsLogprobs ? top ?? 0 : undefined },
  );
  return {
    ...options,
    conversation: {
      messages: [...opening, ...input],
      tools: chooseTools(functions, choice, isParallel),
      ...(variables !== undefined && { variables }),
    },
    format: formatOf(text?.format),
    ownNames,
    repeated: {
      instructions: instructions ?? null,
      max_output_tokens: fields.max_output_tokens ?? null,
      metadata: fields.metadata ?? {},
      parallel_tool_calls: isParallel,
      previous_response_id: null,
      reasoning: { effort: fields.reasoning?.effort ?? null, summary: null },
      store: false,
      temperature: fields.temperature ?? null,
      text: { format: text?.format ?? { type: "text" } },
      tool_choice: fields.tool_choice ?? "auto",
      tools: tools.map((each) =>
        each.type === "function" ? { ...each, strict: each.strict ?? false } : each
      ),
      top_logprobs: top ?? 0,
      top_p: fields.top_p ?? null,
      truncation: "disabled",
    },
  };
}

function formatOf(format: z.infer<typeof textFormat> | undefined): ChatRequest["format"] {
  if (format?.type === "json_object") return ANY_JSON_FORMAT;
  return format?.type === "json_schema" ? schemaFormat(format.schema, "text.format.schema") : {};
}

function choiceOf(
  choice: z.infer<typeof responseSchema>["tool_choice"],
): ToolChoice | undefined {
  if (typeof choice !== "object") return choice;
  const seen = (each: z.infer<typeof namedFunction>) => nameWithin(each.namespace, each.name);
  if (choice.type === "function") return { mode: "required", names: [seen(choice)] };
  return { mode: choice.mode, names: choice.tools.map(seen) };
}
