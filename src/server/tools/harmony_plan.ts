/**
 * How a conversation is put to a model that writes in Harmony's form, and its answer read. Of what
 * is bound thoughts are left free. Pure.
 */
import type { ChatMessage, GrammarPart, GrammarSource } from "../../llm/types.ts";
import type { Body } from "../known_fields.ts";
import type { HarmonyMarks } from "./harmony_marks.ts";
import { harmonyMessages } from "./harmony_messages.ts";
import { HarmonyParser, type HarmonyParserOptions } from "./harmony_parser.ts";
import {
  onWire,
  type ToolFunction,
  type ToolPlan,
  type ToolRequest,
  withoutOthers,
} from "./tool_plan.ts";

export interface HarmonyConversation {
  readonly messages: readonly ChatMessage[];
  /** Null: there are no functions. */
  readonly tools: ToolRequest | null;
  readonly variables?: Body;
  readonly rawThoughts?: boolean;
  /** What the answer's text begins with. */
  readonly prefill?: string;
}

/** What an answer that is no call is bound to. */
export interface HarmonyFormat {
  readonly grammar?: GrammarSource;
}

/** Plans a conversation with a model whose marks are `marks`. */
export function planHarmony(
  marks: HarmonyMarks,
  { messages, tools, variables, rawThoughts, prefill = "" }: HarmonyConversation,
  { grammar }: HarmonyFormat,
): ToolPlan {
  const { functions = [], isParallel = true } = tools ?? {};
  const names = new Set(functions.map(({ name }) => name));
  const closed = tools && { ...tools, functions: functions.map(withoutOthers) };
  const { opening, ...bound }: Bound = prefill === ""
    ? bind(closed, { grammar, rawThoughts })
    : { opening: FINAL };
  const options: HarmonyParserOptions = {
    ...{ marks, opening, rawThoughts },
    isKnown: functions.length === 0 ? null : (name: string) => names.has(name),
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
    newParser: () => new HarmonyParser(options),
  };
}

type Bound = Pick<ToolPlan, "opening" | "grammar" | "looserGrammar" | "isFormat">;

const CHANNEL: GrammarPart = { token: "<|channel|>" };
const CONSTRAIN: GrammarPart = { token: "<|constrain|>" };
const MESSAGE: GrammarPart = { token: "<|message|>" };
const TO_FUNCTION = "commentary to=functions.";
/** Begins text for people. */
const FINAL = "<|channel|>final<|message|>";

function bind(
  tools: ToolRequest | null,
  { grammar, rawThoughts }: HarmonyFormat & { readonly rawThoughts?: boolean },
): Bound {
  const { functions = [], mode } = tools ?? {};
  // Schemas are help, not law, unless it is said.
  const loose = functions.some(({ strict }) => strict)
    ? null
    : functions.map(({ name }) => ({ name }));
  if (functions.length > 0 && mode === "required") {
    const bound = (by: readonly ToolFunction[]) => inParts(calls(by));
    return {
      // A call that must be made is not thought about.
      opening: `<|channel|>${TO_FUNCTION}`,
      grammar: bound(functions),
      ...(loose && { looserGrammar: bound(loose) }),
    };
  }
  if (grammar !== undefined) {
    // Thoughts that are shown as text would not be what the answer must be.
    if (rawThoughts && functions.length === 0) {
      return { opening: FINAL, grammar };
    }
    const final = { all: [CHANNEL, "final", constraint(), MESSAGE, { grammar }] };
    const bound = (by: readonly ToolFunction[]) =>
      inParts(behind(["analysis"], {
        anyOf: by.length === 0 ? [final] : [final, { all: [CHANNEL, TO_FUNCTION, calls(by)] }],
      }));
    return {
      ...{ opening: "", grammar: bound(functions), isFormat: true },
      ...(loose && functions.length > 0 && { looserGrammar: bound(loose) }),
    };
  }
  if (functions.length === 0 || loose !== null) return { opening: "" };
  const text = { all: [CHANNEL, "final", MESSAGE, FREE] };
  const call = { all: [CHANNEL, TO_FUNCTION, calls(functions)] };
  return {
    opening: "",
    grammar: inParts(behind(["analysis", "commentary"], { anyOf: [text, call] })),
  };
}

/** Any text to the end. */
const FREE: GrammarPart = { grammar: { kind: "gbnf", text: "root ::= .*" } };

/** Free messages on these channels, as many as the model wants, then what is bound. */
function behind(channels: readonly string[], last: GrammarPart): GrammarPart {
  const end = { until: { token: "<|end|>" } };
  const next = { all: [{ token: "<|start|>" }, "assistant"] };
  const message = { all: [CHANNEL, { anyOf: channels }, MESSAGE, end, next] };
  return { all: [{ repeat: message }, last] };
}

/** Behind what says that it is for a function: one of the names, and arguments by its schema. */
function calls(functions: readonly ToolFunction[]): GrammarPart {
  return {
    anyOf: functions.map(({ name, parameters = { type: "object" } }) => ({
      all: [name, constraint(), MESSAGE, { grammar: { kind: "jsonSchema", schema: parameters } }],
    })),
  };
}

/** What a message consists of may be said before it. */
function constraint(): GrammarPart {
  return { repeat: { all: [" ", CONSTRAIN, "json"] }, max: 1 };
}

function inParts(parts: GrammarPart): GrammarSource {
  return { kind: "parts", parts };
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
