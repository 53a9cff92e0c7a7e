/** The handlers of `/api/chat` and `/api/generate`. */
import type { Context } from "hono";
import { z } from "zod";
import { counted } from "../../base/units.ts";
import type { LanguageModel, PromptSteps } from "../../llm/types.ts";
import {
  answerStream,
  madeInTurns,
  readWork,
  whileWanted,
  withModel,
  type Work,
} from "../answers/answer.ts";
import {
  type Ask,
  type ChoiceEvent,
  collectChoices,
  startChoices,
  type ToolCall,
} from "../answers/choices.ts";
import { gapIds } from "../answers/gap_prompt.ts";
import type { ServerEnv } from "../guards.ts";
import { fieldError } from "../http_errors.ts";
import { chatAsk } from "../openai/handlers.ts";
import { withOthers } from "../known_fields.ts";
import { chooseTools } from "../openai/tool_fields.ts";
import type { AppSettings } from "../options.ts";
import { optional } from "../parse_fields.ts";
import { withPrefixKey } from "../prefix_key.ts";
import {
  answerFields,
  imagesField,
  leaseOptions,
  messagesField,
  OTHER_FIELDS,
  thinkVariables,
  toFormat,
  toolsField,
  toRequest,
  withImages,
} from "./fields.ts";
import { type AnswerHead, type AnswerKind, emptyOnWire, endOnWire, NDJSON } from "./wire.ts";
import { NOTHING, partOnWire } from "./wire.ts";

export const chatSchema = withOthers(
  z.object({
    ...answerFields,
    messages: messagesField,
    tools: toolsField,
  }),
  OTHER_FIELDS,
);

export const generateSchema = withOthers(
  z.object({
    ...answerFields,
    prompt: optional(z.string()),
    suffix: optional(z.string()),
    system: optional(z.string()),
    raw: optional(z.boolean()),
    images: imagesField,
  }),
  OTHER_FIELDS,
);

/** Answers the last message of a conversation. */
export async function chat(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const startMs = performance.now();
  const fields = await readWork(c, settings, chatSchema);
  const { messages = [], tools = [], think } = fields;
  const functions = tools.map((tool) => tool.function);
  const conversation = {
    messages,
    tools: chooseTools(functions, undefined, true),
    variables: thinkVariables(think),
  };
  return await withModel(c, settings, leaseOptions(settings, fields), (work) => {
    const head = headOf("chat", work, startMs);
    if (messages.length === 0) return unasked(head, fields);
    const format = toFormat(fields.format);
    return reply(
      work,
      head,
      fields,
      () => chatAsk(work, { conversation, format, request: toRequest(fields) }),
    );
  });
}

/** Answers a prompt, continues it (`raw`) or fills a gap (`suffix`). */
export async function generate(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const startMs = performance.now();
  const fields = await readWork(c, settings, generateSchema);
  return await withModel(c, settings, leaseOptions(settings, fields), (work) => {
    const head = headOf("generate", work, startMs);
    if (!fields.prompt && !fields.suffix) return unasked(head, fields);
    return reply(work, head, fields, () => generateAsk(work, fields));
  });
}

function headOf(kind: AnswerKind, { lease }: Work, startMs: number): AnswerHead {
  return { kind, model: lease.model, startMs, loadedMs: performance.now() };
}

/** Without a question, the model is loaded, or let go with `keep_alive: 0`. */
function unasked(head: AnswerHead, { keep_alive }: { readonly keep_alive?: number }): Response {
  return Response.json(emptyOnWire(head, keep_alive === 0 ? "unload" : "load"));
}

type GenerateFields = z.output<typeof generateSchema>;
type Question = Omit<Ask, "count">;

async function generateAsk(work: Work, fields: GenerateFields): Promise<Question> {
  const { model } = work.lease;
  const { prompt = "", suffix, system, raw, think, images } = fields;
  const format = toFormat(fields.format);
  const request = toRequest(fields);
  if (!suffix && !raw) {
    const opening = system ? [{ role: "system", content: system.toWellFormed() }] : [];
    const messages = [...opening, { role: "user", ...withImages(prompt, images) }];
    const conversation = { messages, tools: null, variables: thinkVariables(think) };
    return await chatAsk(work, { conversation, format, request });
  }
  if (images?.length) {
    throw fieldError(
      "images",
      `"images" are for prompts that the model's template renders: leave out "raw" and "suffix"`,
    );
  }
  const text = prompt.toWellFormed();
  const encode = (...of: Parameters<PromptSteps["text"]>) =>
    madeInTurns(work, model.inSteps.text(...of));
  const ids = suffix
    ? gapIds(model, { before: await encode(text), after: await encode(suffix.toWellFormed()) })
    // A raw prompt is written with the marks of the model's template in it.
    : await encode(text, { special: true, bos: true });
  const { grammar } = format;
  return {
    prompts: [{ ids, echo: "" }],
    request: { ...request, ...(grammar !== undefined && { grammar }) },
    grammarParam: "format",
  };
}

type ReplyFields = Pick<GenerateFields, "stream" | "options">;

async function reply(
  work: Work,
  head: AnswerHead,
  { stream = true, options }: ReplyFields,
  makeAsk: () => Promise<Question>,
): Promise<Response> {
  const { model } = work.lease;
  const ask = withinContext(model, { ...await makeAsk(), count: 1 }, options?.num_ctx);
  const start = (signal: AbortSignal) => startChoices(work, ask, signal);
  const response = stream
    ? answerStream(work, NDJSON, (signal) => lines(start(signal), head))
    : await whileWanted(work, async (signal) => {
      const [choice] = await collectChoices(start(signal), 1);
      return Response.json(endOnWire(head, choice, choice));
    });
  return withPrefixKey(response, work.request, ask.prompts[0]);
}

/**
 * `num_ctx` can make the context shorter than it is, not longer: clients send a large one whatever
 * they ask, and Ollama's servers, too, give what there is.
 */
function withinContext(model: LanguageModel, ask: Ask, contextLength: number | undefined): Ask {
  if (contextLength === undefined || contextLength >= model.contextLength) return ask;
  const room = contextLength - ask.prompts[0].ids.length;
  if (room < 1) {
    const count = counted(ask.prompts[0].ids.length, "token");
    throw fieldError(
      "options.num_ctx",
      `The prompt has ${count}, "options.num_ctx" is ${contextLength}`,
      "context_length_exceeded",
    );
  }
  const maxTokens = Math.min(room, ask.request.maxTokens ?? model.answerTokens ?? Infinity);
  return { ...ask, request: { ...ask.request, maxTokens } };
}

async function* lines(events: AsyncIterable<ChoiceEvent>, head: AnswerHead) {
  const calls: { id: string; name: string; arguments: string }[] = [];
  const line = (value: unknown) => `${JSON.stringify(value)}\n`;
  /** Calls go out whole: when the next begins, or at the end. */
  const takeCalls = (): ToolCall[] => calls.splice(0);
  for await (const event of events) {
    if (event.kind === "end") {
      yield line(endOnWire(head, { ...NOTHING, calls: takeCalls() }, event));
      continue;
    }
    let text = "";
    let reasoning = "";
    for (const delta of event.deltas) {
      if (delta.kind === "text") text += delta.text;
      else if (delta.kind === "reasoning") reasoning += delta.text;
      else if (delta.kind === "arguments") calls[calls.length - 1].arguments += delta.text;
      else {
        const done = takeCalls();
        if (done.length > 0) yield line(partOnWire(head, { ...NOTHING, calls: done }));
        calls.push({ id: delta.id, name: delta.name, arguments: "" });
      }
    }
    const { logprobs } = event;
    if (text + reasoning !== "" || logprobs.length > 0) {
      yield line(partOnWire(head, { text, reasoning, calls: [], logprobs }));
    }
  }
}
