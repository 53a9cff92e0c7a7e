/**
 * Functions that a client offers, and how the model is brought to call them: what the template is
 * told, what the answer is bound to, and what reads it. Pure; knows nothing of any API's wire.
 */
import type { ChatMessage, GrammarSource, LanguageModel } from "../../llm/types.ts";
import type { Body } from "../known_fields.ts";
import { type CallFormat, callFormatOf } from "./call_format.ts";
import { type AnswerParser, CallParser, type CallParserOptions } from "./call_parser.ts";
import { gemmaGrammar } from "./gemma_grammar.ts";
import { withInstructions, withPythonCalls } from "./instructions.ts";
import { autoGrammar, forcedSchema, namesGrammar, schemaOrCall } from "./tool_grammar.ts";

/** A function that the model may call. */
export interface ToolFunction {
  readonly name: string;
  readonly description?: string;
  /** JSON Schema of an object; left out: any object. */
  readonly parameters?: Body;
  /** The arguments follow the schema exactly. */
  readonly strict?: boolean;
}

/** What a client offers and wants. */
export interface ToolRequest {
  /** The functions that may be called now. */
  readonly functions: readonly ToolFunction[];
  /** "required": the answer is a call. */
  readonly mode: "auto" | "required";
  /** There may be several calls in one answer. */
  readonly isParallel: boolean;
}

/** How a conversation with functions is put to a model, and its answer read. */
export interface ToolPlan {
  readonly messages: readonly ChatMessage[];
  /** For the template; left out: it is told in a message, or of none. */
  readonly tools?: readonly unknown[];
  /** Variables of the template, where they are not the conversation's. */
  readonly variables?: Body;
  /** What the prompt ends with, as if the model had begun its answer so. */
  readonly opening: string;
  readonly grammar?: GrammarSource;
  /** The grammar without the functions' schemas, where none of them has to be followed exactly. */
  readonly looserGrammar?: GrammarSource;
  /** The grammar is of the answer's schema, too. */
  readonly isFormat?: boolean;
  readonly newParser?: () => AnswerParser;
}

/** Plans a conversation; `answerSchema` binds what is no call. */
export function planTools(
  model: LanguageModel,
  messages: readonly ChatMessage[],
  request: ToolRequest | null,
  answerSchema?: unknown,
): ToolPlan {
  const hasCalls = messages.some(({ role, tool_calls }) => role === "tool" || tool_calls);
  if (request === null && !hasCalls) return { messages, opening: "" };
  const format = callFormatOf(model);
  const { functions = [] } = request ?? {};
  const shown = format.isInTemplate
    ? {
      messages: format.hidesCalls ? messages.map(withPythonCalls) : messages,
      ...(functions.length > 0 && { tools: functions.map(onWire) }),
    }
    : { messages: withInstructions(messages, functions) };
  if (request === null || functions.length === 0) return { ...shown, opening: "" };
  return { ...shown, ...boundAnswer(format, request, answerSchema) };
}

/** A function as templates and clients know it. */
export function onWire({ name, description, parameters }: ToolFunction) {
  return {
    type: "function",
    function: {
      name,
      ...(description !== undefined && { description }),
      parameters: parameters ?? { type: "object", properties: {} },
    },
  };
}

/** What the function's schema says of an argument. */
function typeOfArgument(functions: readonly ToolFunction[], name: string, key: string): unknown {
  const properties = functions.find((each) => each.name === name)?.parameters?.properties;
  const schema = isObject(properties) && Object.hasOwn(properties, key) ? properties[key] : null;
  if (!isObject(schema)) return undefined;
  const types = [schema.anyOf, schema.oneOf].find(Array.isArray)?.map((each) => each?.type);
  return schema.type ?? types;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function boundAnswer(
  format: CallFormat,
  request: ToolRequest,
  answerSchema: unknown,
): Omit<ToolPlan, "messages" | "tools"> {
  const { functions, mode, isParallel } = request;
  const names = new Set(functions.map(({ name }) => name));
  const parser = (options: Partial<CallParserOptions> = {}) => () =>
    new CallParser({
      format,
      isKnown: (name) => names.has(name),
      typeOf: (name, key) => typeOfArgument(functions, name, key),
      ...(!isParallel && { callsMax: 1 }),
      ...options,
    });
  // Schemas are help, not law, unless it is said.
  const loose = functions.some(({ strict }) => strict)
    ? null
    : functions.map((each) => ({ ...each, parameters: undefined }));
  if (mode === "required") {
    return {
      ...beginCall(format, { functions, isParallel, loose }),
      newParser: parser({ isOpened: true }),
    };
  }
  if (answerSchema !== undefined) {
    const bare: CallFormat = {
      ...{ ...format, open: "", close: "", hasBareNames: false },
      ...{ hasPythonCalls: false, hasGemmaCalls: false },
      markup: undefined,
    };
    return {
      opening: "",
      grammar: { kind: "jsonSchema", schema: schemaOrCall(functions, bare, answerSchema) },
      isFormat: true,
      newParser: parser({ format: bare }),
    };
  }
  const grammar = autoGrammar(functions, format, isParallel);
  const looser = loose && (grammar?.kind === "jsonSchema" || format.hasGemmaCalls) &&
    autoGrammar(loose, format, isParallel);
  return {
    opening: "",
    ...(grammar && { grammar }),
    ...(looser && { looserGrammar: looser }),
    newParser: parser(),
  };
}

/** What the model would begin a call with itself, so that what follows is what it is used to. */
function beginCall(
  format: CallFormat,
  { functions, isParallel, loose }: {
    readonly functions: readonly ToolFunction[];
    readonly isParallel: boolean;
    readonly loose: readonly ToolFunction[] | null;
  },
): Pick<ToolPlan, "opening" | "grammar" | "looserGrammar"> {
  const { open, close, markup } = format;
  if (markup !== undefined) {
    const [before, behind] = markup.name;
    return {
      opening: `${open}${before === "" ? "" : "\n"}${before}`,
      grammar: namesGrammar(functions, behind),
    };
  }
  const isList = format.name === "mistral" && isParallel;
  const bound = (by: readonly ToolFunction[]): GrammarSource =>
    format.hasGemmaCalls
      ? gemmaGrammar(by, { format, isParallel, isBegun: true })
      : { kind: "jsonSchema", schema: forcedSchema(by, format, isList) };
  const opening = format.hasGemmaCalls ? `${open}call:` : open + (close === "" ? "" : "\n");
  return {
    opening: open === "" ? "" : opening,
    grammar: bound(functions),
    ...(loose && { looserGrammar: bound(loose) }),
  };
}
