/**
 * How a conversation is put to a model whose messages say whom they are for, and its answer read.
 * What is bound is a message to the user, without thoughts before it. Pure.
 */
import type { GrammarSource, LanguageModel } from "../../llm/types.ts";
import { type AddressedMarks, AddressedParser } from "./addressed_parser.ts";
import type { HarmonyConversation } from "./harmony_plan.ts";
import { planTools, type ToolPlan } from "./tool_plan.ts";

/** Begins text for people. */
const TO_USER = " to=user<|message|>";

/** Plans a conversation with a model whose marks are `marks`. */
export function planAddressed(
  model: LanguageModel,
  marks: AddressedMarks,
  { messages, tools, rawThoughts, prefill = "" }: Omit<HarmonyConversation, "variables">,
  { grammar }: { readonly grammar?: GrammarSource },
): ToolPlan {
  const plan = planTools(model, messages, tools);
  const isCall = plan.opening !== "";
  const isBegun = prefill !== "" || grammar !== undefined && !isCall;
  const { newParser, opening, ...rest } = plan;
  const isText = isBegun && !isCall;
  return {
    ...rest,
    opening: isText ? TO_USER : opening,
    // What the answer must be is said of its text; a call is not what was asked for then.
    ...(isText && { grammar: undefined, looserGrammar: undefined }),
    newParser: () =>
      new AddressedParser({
        ...{ marks, rawThoughts, isOpened: isCall || isBegun },
        answer: newParser?.(),
      }),
  };
}
