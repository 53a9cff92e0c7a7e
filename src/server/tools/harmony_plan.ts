/**
 * How a conversation is put to a model that writes in Harmony's form, and its answer read. Grammars
 * know text only, and marks are none: what is bound begins behind them, in the prompt. Pure.
 */
import type { ChatMessage, GrammarSource } from "../../llm/types.ts";
import type { Body } from "../known_fields.ts";
import { BARE_CALL } from "./call_format.ts";
import { CallParser } from "./call_parser.ts";
import type { HarmonyMarks } from "./harmony_marks.ts";
import { harmonyMessages } from "./harmony_messages.ts";
import { HarmonyParser, type HarmonyParserOptions } from "./harmony_parser.ts";
import { forcedSchema, schemaOrCall } from "./tool_grammar.ts";
import { onWire, type ToolFunction, type ToolPlan, type ToolRequest } from "./tool_plan.ts";

export interface HarmonyConversation {
  readonly messages: readonly ChatMessage[];
  /** Null: there are no functions. */
  readonly tools: ToolRequest | null;
  readonly variables?: Body;
  readonly rawThoughts?: boolean;
}

/** What an answer that is no call is bound to. */
export interface HarmonyFormat {
  readonly grammar?: GrammarSource;
  /** The same, where it is a schema. */
  readonly schema?: unknown;
}

const FINAL = "<|channel|>final<|message|>";

/** Plans a conversation with a model whose marks are `marks`. */
export function planHarmony(
  marks: HarmonyMarks,
  { messages, tools, variables, rawThoughts }: HarmonyConversation,
  format: HarmonyFormat,
): ToolPlan {
  const { functions = [], isParallel = true } = tools ?? {};
  const names = new Set(functions.map(({ name }) => name));
  const isKnown = (name: string) => names.has(name);
  const { opening, answer, ...bound } = bind(tools, format);
  const options: HarmonyParserOptions = {
    ...{ marks, opening, rawThoughts },
    isKnown: functions.length === 0 ? null : isKnown,
    ...(!isParallel && { callsMax: 1 }),
  };
  return {
    messages: harmonyMessages(messages),
    // Templates add to the description, whether it is there or not.
    ...(functions.length > 0 && {
      tools: functions.map(({ description = "", ...each }) => onWire({ description, ...each })),
    }),
    ...(variables !== undefined && { variables: withKnownEffort(variables) }),
    opening,
    ...bound,
    newParser: () =>
      new HarmonyParser({
        ...options,
        ...(answer === "bare" && {
          isKnown: null,
          answer: new CallParser({
            format: BARE_CALL,
            isKnown,
            ...(!isParallel && { callsMax: 1 }),
          }),
        }),
      }),
  };
}

type Bound = Pick<ToolPlan, "opening" | "grammar" | "looserGrammar" | "isFormat"> & {
  /** "bare": the text may be a call. */
  readonly answer?: "bare";
};

function bind(tools: ToolRequest | null, { grammar, schema }: HarmonyFormat): Bound {
  if (tools !== null && tools.functions.length > 0) {
    if (tools.mode === "required") return requiredCall(tools.functions);
    if (schema !== undefined) {
      return { ...bareAnswer(schemaOrCall(tools.functions, BARE_CALL, schema)), isFormat: true };
    }
  }
  return { opening: grammar === undefined ? "" : FINAL };
}

/** A text that may be a call, or has to be one: a name and arguments in one object. */
function bareAnswer(schema: unknown): Bound {
  return { opening: FINAL, grammar: { kind: "jsonSchema", schema }, answer: "bare" };
}

/**
 * One function's arguments follow its schema. Which of several it is ends with a mark: where
 * arguments must follow schemas, the call is written as an object instead.
 */
function requiredCall(functions: readonly ToolFunction[]): Bound {
  const to = "<|channel|>commentary to=functions.";
  if (functions.length > 1) {
    const isStrict = functions.some(({ strict }) => strict);
    return isStrict ? bareAnswer(forcedSchema(functions, BARE_CALL, false)) : { opening: to };
  }
  const [{ name, parameters, strict }] = functions;
  const bound = (schema: unknown): GrammarSource => ({ kind: "jsonSchema", schema });
  const any = { type: "object" };
  return {
    opening: `${to}${name} <|constrain|>json<|message|>`,
    grammar: bound(parameters ?? any),
    ...(!strict && { looserGrammar: bound(any) }),
  };
}

const EFFORTS: ReadonlyMap<string, string> = new Map([
  ["none", "low"],
  ["minimal", "low"],
  ["xhigh", "high"],
]);

/** These models know three efforts, and cannot leave out their thoughts. */
function withKnownEffort(variables: Body): Body {
  const { reasoning_effort: effort, enable_thinking: thinks } = variables;
  if (typeof effort === "string") {
    return { ...variables, reasoning_effort: EFFORTS.get(effort) ?? effort };
  }
  return thinks === false ? { ...variables, reasoning_effort: "low" } : variables;
}
