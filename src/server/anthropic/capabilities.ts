/** What a model can do, in the words of Anthropic's list of models. */
import type { ModelDetails } from "../../llm/types.ts";
import { writesAddressed } from "../tools/addressed_parser.ts";
import { writesHarmony } from "../tools/harmony_marks.ts";
import { thoughtMarksOf } from "../tools/thought_parser.ts";

const YES = { supported: true };
const NO = { supported: false };

/** Every capability that clients know of: they look for each. Null: the model is not known yet. */
export function capabilitiesOf(details: ModelDetails | undefined) {
  if (details === undefined) return null;
  const { uses, chatTemplate } = details;
  const template = chatTemplate ?? "";
  const thinks =
    thoughtMarksOf(template) !== null || writesHarmony(template) || writesAddressed(template)
      ? YES
      : NO;
  return {
    batch: NO,
    citations: NO,
    code_execution: NO,
    context_management: {
      ...NO,
      clear_thinking_20251015: null,
      clear_tool_uses_20250919: null,
      compact_20260112: null,
    },
    effort: { ...thinks, low: thinks, medium: thinks, high: thinks, xhigh: thinks, max: thinks },
    image_input: uses.includes("images") ? YES : NO,
    pdf_input: NO,
    server_tools: { ...NO, code_execution: NO, web_search: NO },
    structured_outputs: uses.includes("writing") ? YES : NO,
    thinking: {
      ...thinks,
      types: { adaptive: thinks, between_tools: thinks, disabled: YES, enabled: thinks },
    },
  };
}
