/** The bodies of `/v1/messages` and its count of tokens: parsed into what a model is asked. */
import { z } from "zod";
import { fieldError } from "../http_errors.ts";
import { type UnsupportedFields, withOthers } from "../known_fields.ts";
import {
  answerFields,
  CLIENT_HINTS,
  COUNT_MAX,
  samplingFields,
  stopField,
  toAnswerOptions,
} from "../openai/answer_fields.ts";
import { type ChatRequest, type Conversation, reasoningEffort } from "../openai/chat_request.ts";
import { withEffort } from "../openai/chat_request.ts";
import { type AnswerFormat, schemaFormat } from "../openai/format_fields.ts";
import { chooseTools, functionFields, type ToolChoice } from "../openai/tool_fields.ts";
import { anyObject, harmless, listOf, optional } from "../parse_fields.ts";
import { apart, messagesField, systemField } from "./message_blocks.ts";

/** A request for a message, as a chat. */
export type MessagesRequest = Omit<ChatRequest, "count" | "includeUsage">;

const TOOLS_MAX = 128;

/** Tools of other types are run by Anthropic's servers, or known to Anthropic's models only. */
const toolType = z.literal("custom", {
  error: ({ input }) =>
    `tools of type ${JSON.stringify(String(input).slice(0, 80))} are not known here: leave it out`,
});

const { name, description, parameters, strict } = functionFields;

const tool = z.object({
  type: optional(toolType),
  ...{ name, description, strict },
  input_schema: parameters,
});

const toolChoice = z.object({
  type: z.enum(["auto", "any", "tool", "none"]),
  name: optional(name),
  disable_parallel_tool_use: optional(z.boolean()),
});

/** `budget_tokens` is a bound: thoughts are closed when they have so many. */
const thinking = z.object({
  type: z.enum(["enabled", "disabled", "adaptive", "between_tools"]),
  budget_tokens: optional(z.int().min(0).max(COUNT_MAX)),
  display: optional(z.string().max(40)),
});

const jsonFormat = z.object({ type: z.literal("json_schema"), schema: anyObject });
const effort = optional(
  z.union([z.literal("max").transform(() => "xhigh" as const), reasoningEffort]),
);

/** What a conversation is made of; enough for counting its tokens. */
const conversationFields = {
  model: answerFields.model,
  messages: messagesField,
  system: systemField,
  tools: optional(listOf(tool, { max: TOOLS_MAX })),
  tool_choice: optional(toolChoice),
  thinking: optional(thinking),
  output_config: optional(z.object({ effort, format: optional(jsonFormat) })),
  /** What `output_config.format` was before. */
  output_format: optional(jsonFormat),
};

const { never, isOneOf, isEmptyList } = harmless;

/** What would need more than a model: a sandbox, other servers, a memory between requests. */
const UNSUPPORTED: UnsupportedFields = {
  container: never,
  thread: never,
  compaction: never,
  mcp_servers: isEmptyList,
  context_management: onlyClears,
  service_tier: isOneOf("auto", "standard_only"),
  speed: isOneOf("standard"),
};

/** What clients send along that answers are the same without. */
const HINTS = [
  ...CLIENT_HINTS,
  ...["cache_control", "inference_geo", "diagnostics", "user_profile_id", "betas"],
  ...["billing_policy", "fallbacks", "fallback_credit_token"],
  ...["output_config.task_budget"],
];

export const messagesSchema = withOthers(
  z.object({
    ...conversationFields,
    /** 0: nothing but reading the prompt, so that the next one finds it read. */
    max_tokens: z.int().min(0).max(COUNT_MAX),
    stream: answerFields.stream,
    stop_sequences: stopField,
    lora: answerFields.lora,
    ...samplingFields,
    prompt_cache_key: answerFields.prompt_cache_key,
    priority: answerFields.priority,
    max_time_ms: answerFields.max_time_ms,
  }),
  { unsupported: UNSUPPORTED, hints: HINTS },
);

/** Whole requests for messages are welcome: it is only their conversation that counts. */
export const countSchema = withOthers(z.object(conversationFields), {
  hints: [...Object.keys(messagesSchema.shape), ...Object.keys(UNSUPPORTED), ...HINTS],
});

/** @throws {RequestError} 400 that names the field at fault. */
export function toMessagesRequest(fields: z.output<typeof messagesSchema>): MessagesRequest {
  const { stop_sequences: stop } = fields;
  return { ...toAnswerOptions({ ...fields, stop }), ...toCounted(fields) };
}

/**
 * The conversation of parsed fields, and what its answer is bound to.
 * @throws {RequestError} 400 that names the field at fault.
 */
export function toCounted(
  fields: z.output<z.ZodObject<typeof conversationFields>>,
): Pick<ChatRequest, "model" | "conversation" | "format"> {
  const { system = "", tools = [], tool_choice: choice } = fields;
  const format = formatOf(fields);
  const functions = tools.map(({ input_schema: parameters, type: _custom, ...each }) => ({
    ...each,
    parameters,
  }));
  const { messages, prefill } = withoutPrefill(withSystem(fields.messages, system));
  const variables = variablesOf(fields);
  const { thinking } = fields;
  const thoughtTokensMax = thinking?.type === "disabled" ? undefined : thinking?.budget_tokens;
  const conversation: Conversation = {
    messages,
    tools: chooseTools(functions, choiceOf(choice), !choice?.disable_parallel_tool_use),
    ...(variables !== undefined && { variables }),
    ...(thoughtTokensMax !== undefined && { thoughtTokensMax }),
    ...(prefill !== "" && { prefill }),
  };
  if (prefill !== "" && (format.grammar || conversation.tools?.mode === "required")) {
    throw fieldError(
      "messages",
      "The last message begins an answer that a format or a call is asked for: end with a user's",
    );
  }
  return { model: fields.model, conversation, format };
}

type Messages = z.output<typeof messagesField>;

/** `system` before what the conversation begins with. */
function withSystem(messages: Messages, system: string): Messages {
  if (system === "") return messages;
  const [first, ...rest] = messages;
  if (first.role !== "system") return [{ role: "system", content: system }, ...messages];
  return [{ role: "system", content: apart([system, first.content]) }, ...rest];
}

/** An assistant's text at the end is what the answer begins with; an empty one says nothing. */
function withoutPrefill(messages: Messages): { messages: Messages; prefill: string } {
  const last = messages.at(-1);
  const isOpen = last?.role === "assistant" && last.tool_calls === undefined;
  return isOpen
    ? { messages: messages.slice(0, -1), prefill: last.content }
    : { messages, prefill: "" };
}

function choiceOf(choice: z.output<typeof toolChoice> | undefined): ToolChoice | undefined {
  switch (choice?.type) {
    case "tool": {
      const { name } = choice;
      if (name === undefined) {
        throw fieldError("tool_choice.name", `"tool_choice" of type "tool" needs a name`);
      }
      return { mode: "required", names: [name] };
    }
    case "any":
      return "required";
    default:
      return choice?.type;
  }
}

function formatOf(
  { output_config: config, output_format: before }: Pick<
    z.output<z.ZodObject<typeof conversationFields>>,
    "output_config" | "output_format"
  >,
): AnswerFormat {
  if (config?.format !== undefined) {
    return schemaFormat(config.format.schema, "output_config.format");
  }
  return before === undefined ? {} : schemaFormat(before.schema, "output_format");
}

/** An effort alone does not say that there are thoughts, as OpenAI's does. */
function variablesOf(
  { thinking, output_config: config }: Pick<
    z.output<z.ZodObject<typeof conversationFields>>,
    "thinking" | "output_config"
  >,
) {
  if (thinking?.type === "disabled") return withEffort(undefined, "none");
  const effort = config?.effort;
  const variables = {
    ...(effort !== undefined && { reasoning_effort: effort }),
    ...(thinking !== undefined && { enable_thinking: true }),
  };
  return Object.keys(variables).length > 0 ? variables : undefined;
}

/** A server may leave out old thoughts and results of tools where they are many; it need not. */
function onlyClears(value: unknown): boolean {
  const { edits } = Object(value) as { edits?: unknown };
  if (edits == null) return true;
  return Array.isArray(edits) && edits.every((edit) => /^clear_/.test(String(Object(edit).type)));
}
