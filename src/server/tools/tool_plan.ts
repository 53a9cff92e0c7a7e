/**
 * Functions that a client offers, and how the model is brought to call them: what the template is
 * told, what the answer is bound to, and what reads it. Pure; knows nothing of any API's wire.
 */
import type { ChatMessage, GrammarPart, GrammarSource, LanguageModel } from "../../llm/types.ts";
import type { Body } from "../known_fields.ts";
import { argumentTypes } from "./argument_types.ts";
import { BARE_CALL, type CallFormat, callFormatOf } from "./call_format.ts";
import type { AnswerParser } from "./answer_parser.ts";
import { CallParser, type CallParserOptions, plainParser } from "./call_parser.ts";
import { shownFunctions } from "./instructions.ts";
import { recipientsGrammar } from "./lead_grammar.ts";
import { looserFunctions, requiredCall } from "./required_call.ts";
import { markupGrammar } from "./markup_grammar.ts";
import { speltBy } from "./spelt_marks.ts";
import type { CallMark } from "./thought_parser.ts";
import { autoGrammar, schemaOrCall, taggedGrammar } from "./tool_grammar.ts";

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
  /** What begins calls that may be made before thoughts are closed. */
  readonly callMark?: CallMark;
}

/**
 * Plans a conversation.
 * @param answerSchema binds what is no call.
 * @param isBegun the answer has begun with text.
 */
export function planTools(
  model: LanguageModel,
  messages: readonly ChatMessage[],
  request: ToolRequest | null,
  { answerSchema, isBegun = false }: { answerSchema?: unknown; isBegun?: boolean } = {},
): ToolPlan {
  const format = callFormatOf(model);
  // Without functions all of an answer is text.
  const unbound = {
    opening: format.textLead ?? "",
    ...(format.frames && { newParser: () => plainParser(format) }),
  };
  const hasCalls = messages.some(({ role, tool_calls }) => role === "tool" || tool_calls);
  if (request === null && !hasCalls) return { messages, ...unbound };
  const { functions = [] } = request ?? {};
  const shown = shownFunctions(format, messages, functions);
  if (request === null || functions.length === 0) return { ...shown, ...unbound };
  // Where text and calls are told apart by how an answer begins, it is text already.
  if (isBegun && format.textLead !== undefined) return { ...shown, ...unbound };
  const bound = { ...request, functions: functions.map(withoutOthers) };
  return {
    ...{ ...shown, ...boundAnswer(format, bound, answerSchema) },
    ...(format.endsThoughts && { callMark: format }),
  };
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

/** Whoever says that there are no arguments means that there are none. */
export function withoutOthers(each: ToolFunction): ToolFunction {
  const { parameters } = each;
  if (parameters?.type !== "object" || parameters.properties === undefined) return each;
  const { required, ...words } = parameters;
  const isNothingDue = required === undefined || Array.isArray(required) && required.length === 0;
  const said = Object.keys(words).filter((key) => !WORDS_ABOUT.has(key));
  const isEmpty = isNothingDue && said.length === 0 &&
    Object.keys(Object(parameters.properties)).length === 0;
  return isEmpty ? { ...each, parameters: { ...parameters, additionalProperties: false } } : each;
}

/** What of a schema without properties says nothing of its values. */
const WORDS_ABOUT: ReadonlySet<string> = new Set([
  ...["type", "properties", "$schema", "$id", "$defs", "definitions"],
  ...["title", "description", "examples", "$comment"],
]);

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
      typeOf: (name, key, written) => {
        const { parameters } = functions.find((each) => each.name === name) ?? {};
        return argumentTypes(parameters, key, written);
      },
      ...(!isParallel && { callsMax: 1 }),
      ...options,
    });
  if (mode === "required") {
    const bound = requiredCall(functions, format, isParallel);
    return { ...bound, newParser: parser({ isOpened: true, isDue: true }) };
  }
  const isOpened = format.textLead !== undefined;
  if (answerSchema !== undefined && isOpened) {
    const text: GrammarPart = { grammar: { kind: "jsonSchema", schema: answerSchema } };
    const grammar = recipientsGrammar(functions, { format, isParallel, text });
    return { opening: "", grammar, isFormat: true, newParser: parser({ isOpened }) };
  }
  if (answerSchema !== undefined && format.frames) {
    return { opening: "", ...framedSchema(request, format, answerSchema), newParser: parser() };
  }
  if (answerSchema !== undefined) {
    const { argumentsKey, idChars } = format;
    const bare: CallFormat = { ...BARE_CALL, argumentsKey, idChars };
    return {
      opening: "",
      grammar: { kind: "jsonSchema", schema: schemaOrCall(functions, bare, answerSchema) },
      isFormat: true,
      newParser: parser({ format: bare }),
    };
  }
  // Of several calls only strict ones are held to their schemas.
  const free = ({ name, ...each }: ToolFunction) => each.strict ? { name, ...each } : { name };
  const bound = isParallel ? functions.map(free) : functions;
  const grammar = autoGrammar(bound, format, isParallel);
  const loose = looserFunctions(functions);
  const looser = loose && grammar && autoGrammar(loose, format, isParallel);
  return {
    opening: "",
    ...(grammar && { grammar }),
    ...(looser && { looserGrammar: looser }),
    newParser: parser({ isOpened }),
  };
}

/** An answer that follows the schema, or closes the text that the prompt has opened, and calls. */
function framedSchema(
  { functions, isParallel }: ToolRequest,
  format: CallFormat,
  answerSchema: unknown,
): Pick<ToolPlan, "grammar" | "isFormat"> {
  const { open, textEnd = "", controls } = format;
  const text: GrammarPart = { grammar: { kind: "jsonSchema", schema: answerSchema } };
  const before = speltBy(textEnd + open, new Set(controls?.values()));
  const grammar = format.markup
    ? markupGrammar(functions, format, { isParallel })
    : taggedGrammar(functions, format, isParallel);
  const calls: GrammarPart = { grammar };
  const parts = { anyOf: [text, { all: [before, calls] }] };
  return { grammar: { kind: "parts", parts }, isFormat: true };
}
