/**
 * Conversations to prompts: a model's own chat template, rendered within limits, or a default for
 * models that bring none. Works on text; knows nothing of ids, engines or HTTP.
 *
 * - A template from the model is Jinja as Hugging Face's models write it.
 * - Without one, a vocabulary that has `<|im_start|>` gets ChatML.
 * - RWKV's files may have a name, "rwkv-world", in the place of a template, or none.
 * - Without either, the model was never taught to chat: the messages are joined into one text that
 *   the model continues, as a story model does; of one that answers a source, the last text of the
 *   user's is the source.
 */
import { Environment, parse, tokenize } from "@huggingface/jinja";
import { messageOf, RequestError } from "../base/errors.ts";
import type { ChatMessage } from "../llm/types.ts";
import { BoundedInterpreter, TemplateLimitError } from "./bounded_interpreter.ts";
import { createSpecialTextBreaker } from "../tokenizer/special_breaker.ts";
import { mapStrings } from "./special_text.ts";
import { boundedRange, raiseException, strftime, TemplateRefusal } from "./template_globals.ts";
import { habitsOf } from "./template_messages.ts";
import { surveyTemplate, type TemplateNode } from "./template_nodes.ts";

export interface ChatTemplateSource {
  /** Jinja, from the model's file; null when it has none. */
  readonly template: string | null;
  /** What the template's `bos_token` and `eos_token` stand for. */
  readonly bosText: string;
  readonly eosText: string;
  /** Texts that a client must not be able to turn into tokens: Tokenizer.specialTexts. */
  readonly specialTexts: readonly string[];
  /** Turns are paragraphs that say whose they are, where there is no template. Default: no. */
  readonly hasParagraphs?: boolean;
  /** The model answers a source and goes on with nothing. Default: no. */
  readonly answersSources?: boolean;
  /** Variables that nobody has set. Default: none. */
  readonly variables?: Readonly<Record<string, unknown>>;
  /** For tests: what `strftime_now` reads. */
  readonly now?: () => Date;
}

export interface RenderOptions {
  /** Ends the prompt where the assistant's answer begins. Default true. */
  readonly addGenerationPrompt?: boolean;
  readonly tools?: readonly unknown[];
  /** More variables for the template, as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

export interface ChatTemplate {
  readonly style: "jinja" | "chatml" | "paragraphs" | "continue" | "source";
  /** Why every rendering will fail; null when the template could be read. */
  readonly fault: string | null;
  /**
   * The prompt, to be encoded with `special: true`; a source is a user's text and no more, and is
   * encoded as that. It may or may not begin with `bosText`.
   * @throws {RequestError} 400 when the template refuses the messages, fails, or is too costly.
   */
  render(messages: readonly ChatMessage[], options?: RenderOptions): string;
}

/** Makes the renderer of a model's conversations. Never throws: a bad template fails to render. */
export function createChatTemplate(source: ChatTemplateSource): ChatTemplate {
  const breakSpecials = createSpecialTextBreaker(source.specialTexts);
  const { template, hasParagraphs = false } = source;
  if (template === PARAGRAPHS || template === null && hasParagraphs) {
    const render: ChatTemplate["render"] = (messages, options = {}) =>
      renderParagraphs(messages, { breakSpecials, ...options });
    return { style: "paragraphs", fault: null, render };
  }
  if (template !== null) return jinjaTemplate(source, template, breakSpecials);
  if (source.answersSources) {
    const render: ChatTemplate["render"] = (messages) =>
      messages.findLast(({ role }) => role === "user")?.content ?? "";
    return { style: "source", fault: null, render };
  }
  const isChatMl = source.specialTexts.includes("<|im_start|>");
  return {
    style: isChatMl ? "chatml" : "continue",
    fault: null,
    render: (messages, options = {}) =>
      isChatMl
        ? renderChatMl(messages, { breakSpecials, ...options })
        : breakSpecials(joinMessages(messages)),
  };
}

/** Templates of real models have up to 30,000 characters. */
const TEMPLATE_CHARS_MAX = 256 * 1024;
/** The tokenizer's time grows with the square of white space in a row: 256 Ki are over a minute. */
const BLANK_CHARS_MAX = 500;
const BASE_STEPS = 100_000;
const STEPS_PER_MESSAGE = 500;
const STEPS_PER_CHAR = 0.5;
const STEPS_MAX = 1_000_000;
const BASE_TEXT_CHARS = 2 ** 20;
const TEXT_CHARS_PER_CHAR = 2;

function jinjaTemplate(
  source: ChatTemplateSource,
  template: string,
  breakSpecials: (text: string) => string,
): ChatTemplate {
  const parsed = parseTemplate(template);
  const now = source.now ?? (() => new Date());
  const habits = habitsOf(template);
  const renderOnce = (asked: readonly ChatMessage[], options: RenderOptions = {}): string => {
    if ("fault" in parsed) throw renderError(parsed.fault);
    const { addGenerationPrompt = true, tools = null } = options;
    const variables = { ...source.variables, ...options.variables };
    const messages = habits.toMessages(asked);
    const client = mapStrings({ ...variables, messages, tools }, breakSpecials);
    const extra = extraVariables(parsed.names, { tools, now, breakSpecials });
    const values: Record<string, unknown> = {
      // Only names that the template reads are worth declaring; the rest is declared undefined,
      // for the interpreter looks up undeclared names by throwing.
      ...Object.fromEntries(parsed.names.map((name) => [name, undefined])),
      documents: null,
      ...extra,
      ...(client as Record<string, unknown>),
      ...CONSTANTS,
      add_generation_prompt: addGenerationPrompt,
      bos_token: source.bosText,
      eos_token: source.eosText,
      strftime_now: (format: unknown) => strftime(now(), String(format).slice(0, 256)),
    };
    const environment = new Environment();
    for (const [name, value] of Object.entries(values)) {
      if (name !== "namespace") environment.set(name, value);
    }
    const prompt = runProgram(parsed, environment, limitsFor([client, extra], messages.length));
    return addGenerationPrompt ? habits.toPrompt(prompt) : prompt;
  };
  const render = (messages: readonly ChatMessage[], options?: RenderOptions): string => {
    try {
      return renderOnce(messages, options);
    } catch (error) {
      const folded = error instanceof RefusedMessages ? withoutSystem(messages) : null;
      if (folded === null) throw error;
      try {
        return renderOnce(folded, options);
      } catch {
        throw error; // what the client wrote was refused for another reason
      }
    }
  };
  return { style: "jinja", fault: "fault" in parsed ? parsed.fault : null, render };
}

const CONSTANTS: Readonly<Record<string, unknown>> = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  raise_exception: raiseException,
  range: boundedRange,
};

/** What some templates want to know by names of their own (Firefunction's). */
function extraVariables(
  names: readonly string[],
  { tools, now, breakSpecials }: {
    readonly tools: readonly unknown[] | null;
    readonly now: () => Date;
    readonly breakSpecials: (text: string) => string;
  },
): Record<string, unknown> {
  // Broken as JSON, which would write breakers inside of it as escapes.
  const functions = tools === null ? "" : breakSpecials(JSON.stringify(tools));
  return {
    ...names.includes("functions") && { functions },
    ...names.includes("datetime") && { datetime: strftime(now(), "%b %d %Y %H:%M:%S") },
  };
}

type Program = TemplateNode & Parameters<BoundedInterpreter["run"]>[0];
interface ParsedTemplate {
  readonly program: Program;
  readonly names: readonly string[];
  readonly nodeCount: number;
}

function parseTemplate(template: string): ParsedTemplate | { readonly fault: string } {
  if (template.length > TEMPLATE_CHARS_MAX) {
    return {
      fault: `it is ${template.length} characters long, the limit is ${TEMPLATE_CHARS_MAX}`,
    };
  }
  const blank = (template.match(/\s+/g) ?? []).reduce((max, run) => Math.max(max, run.length), 0);
  if (blank > BLANK_CHARS_MAX) {
    return { fault: `it has ${blank} spaces or lines in a row, the limit is ${BLANK_CHARS_MAX}` };
  }
  try {
    const program = parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true }));
    const { names, nodeCount } = surveyTemplate(program);
    return { program, names: [...names], nodeCount };
  } catch (error) {
    // The parser looks behind the last token as if there were another one.
    const reason = error instanceof TypeError ? "it ends within a block" : reasonOf(error);
    return { fault: `it is not valid Jinja (${reason})` };
  }
}

/** client: all that it has sent, as often as the template may read it. */
function limitsFor(
  client: readonly unknown[],
  messageCount: number,
): { steps: number; textChars: number } {
  let clientChars = 0;
  const count = (text: string) => {
    clientChars += text.length;
    return text;
  };
  for (const each of client) mapStrings(each, count);
  const steps = BASE_STEPS + messageCount * STEPS_PER_MESSAGE + clientChars * STEPS_PER_CHAR;
  return {
    steps: Math.min(STEPS_MAX, Math.floor(steps)),
    textChars: BASE_TEXT_CHARS + clientChars * TEXT_CHARS_PER_CHAR,
  };
}

function runProgram(
  parsed: ParsedTemplate,
  environment: Environment,
  limits: { steps: number; textChars: number },
): string {
  const interpreter = new BoundedInterpreter(environment, {
    ...limits,
    templateNodes: parsed.nodeCount,
  });
  try {
    return String(interpreter.run(parsed.program).value);
  } catch (error) {
    if (error instanceof TemplateRefusal) {
      throw new RefusedMessages(error.message);
    }
    const isLimit = error instanceof TemplateLimitError || error instanceof RangeError;
    throw renderError(isLimit ? reasonOf(error) : `it fails (${reasonOf(error)})`);
  }
}

function renderError(reason: string): RequestError {
  return new RequestError(errorText(reason), ERROR_FIELDS);
}

/** The template has called `raise_exception`. */
class RefusedMessages extends RequestError {
  constructor(reason: string) {
    super(errorText(`it refuses these messages: ${reason}`), ERROR_FIELDS);
  }
}

const ERROR_FIELDS = { status: 400, code: "chat_template_error", param: "messages" };

function errorText(reason: string): string {
  return `Cannot render the messages with the model's chat template: ${reason}`;
}

/**
 * The same conversation for templates that know no system messages (Gemma's): what these say stands
 * before what the user says first. Null: there are none.
 */
function withoutSystem(messages: readonly ChatMessage[]): ChatMessage[] | null {
  const isSystem = ({ role }: ChatMessage) => role === "system" || role === "developer";
  if (!messages.some(isSystem)) return null;
  const told = messages.filter(isSystem).map(({ content }) => content).join("\n\n");
  const others = messages.filter((message) => !isSystem(message));
  const first = others.findIndex(({ role }) => role === "user");
  if (first < 0) return [{ role: "user", content: told }, ...others];
  return others.map((message, index) =>
    index === first ? { ...message, content: `${told}\n\n${message.content}` } : message
  );
}

function reasonOf(error: unknown): string {
  const message = messageOf(error);
  // "Maximum call stack size exceeded" tells a user nothing.
  if (/call stack/.test(message)) return "it nests too deep";
  return message.slice(0, 500) || "break or continue outside a loop";
}

function renderChatMl(
  messages: readonly ChatMessage[],
  options: RenderOptions & { breakSpecials: (text: string) => string },
): string {
  const turns = messages.map(({ role, content }) =>
    `<|im_start|>${options.breakSpecials(role)}\n${options.breakSpecials(content)}<|im_end|>\n`
  );
  const opening = options.addGenerationPrompt === false ? "" : "<|im_start|>assistant\n";
  return turns.join("") + opening;
}

/** What files of RWKV call it. */
const PARAGRAPHS = "rwkv-world";
const SPEAKERS: Readonly<Record<string, string>> = {
  ...{ system: "System", developer: "System", user: "User", assistant: "Assistant" },
};

/** A paragraph for each message; an empty line ends a turn, so that none may be within one. */
function renderParagraphs(
  messages: readonly ChatMessage[],
  options: RenderOptions & { breakSpecials: (text: string) => string },
): string {
  const turns = messages.map(({ role, content }) => {
    const said = options.breakSpecials(content.trim().replaceAll(/\r?\n(\s*\n)+/g, "\n"));
    return `${SPEAKERS[role] ?? "User"}: ${said}\n\n`;
  });
  return turns.join("") + (options.addGenerationPrompt === false ? "" : "Assistant:");
}

/**
 * One text of all messages. An answer continued what stood before it and is glued to it again;
 * other messages begin on a new line unless white space already parts them.
 */
function joinMessages(messages: readonly ChatMessage[]): string {
  let text = "";
  for (const { role, content } of messages) {
    const parted = text === "" || role === "assistant" || /\s$/.test(text) || /^\s/.test(content);
    text += parted ? content : `\n${content}`;
  }
  return text;
}
