/**
 * How a model writes calls of functions, found out from its chat template: the format that the
 * template shows it for its own earlier calls. Knows nothing of requests.
 */
import type { LanguageModel } from "../../llm/types.ts";
import { ARGUMENT_TAGS, FUNCTION_TAGS, INVOKE_TAGS, type Markup } from "./markup_call.ts";

export interface CallFormat {
  readonly name:
    | "hermes"
    | "mistral"
    | "llama3"
    | "python"
    | "gemma"
    | "markup"
    | "json"
    | "instructed";
  /** Text that opens a call; empty: a call is all of an answer. */
  readonly open: string;
  /** Text that may follow a call. */
  readonly close: string;
  /** The id of `open` where it is a control token, which has no text in an answer. */
  readonly openId?: number;
  /** What the model calls the arguments. */
  readonly argumentsKey: "arguments" | "parameters";
  /** A call may be `name{…}`. */
  readonly hasBareNames: boolean;
  /** Calls are `[name(argument=value, …), …]`. */
  readonly hasPythonCalls?: boolean;
  /** Calls are `call:name{argument:value, …}`. */
  readonly hasGemmaCalls?: boolean;
  /** A call's name and arguments are between tags. */
  readonly markup?: Markup;
  /** The template leaves out earlier calls: they have to be text. */
  readonly hidesCalls?: boolean;
  /** Characters of a call's id, where the template counts them. */
  readonly idChars: number | null;
  /** False: the template cannot say which functions there are, so that a message has to. */
  readonly isInTemplate: boolean;
}

const PLAIN: Omit<CallFormat, "name"> = {
  open: "",
  close: "",
  argumentsKey: "arguments",
  hasBareNames: false,
  idChars: null,
  isInTemplate: true,
};

/** A call is an object, and all of an answer. */
export const BARE_CALL: CallFormat = { ...PLAIN, name: "json" };

const TAGGED = { ...PLAIN, open: "<tool_call>", close: "</tool_call>" };

/** The format of the model's own template, or tags that it is told of. */
export function callFormatOf(model: LanguageModel): CallFormat {
  const template = model.details?.chatTemplate ?? "";
  if (!/\btools\b/.test(template)) return { ...TAGGED, name: "instructed", isInTemplate: false };
  if (template.includes("[TOOL_CALLS]")) {
    return {
      ...PLAIN,
      name: "mistral",
      open: "[TOOL_CALLS]",
      hasBareNames: true,
      idChars: 9,
      ...controlId(model, "[TOOL_CALLS]"),
    };
  }
  if (/<\|tool_(call|list)_start\|>|List of tools: \[/.test(template)) {
    const open = "<|tool_call_start|>";
    return {
      ...PLAIN,
      ...{ name: "python", open, close: "<|tool_call_end|>", hasPythonCalls: true },
      hidesCalls: !/\btool_calls\b/.test(template),
      ...controlId(model, open),
    };
  }
  if (template.includes("<|tool_call>call:")) {
    const [open, close] = ["<|tool_call>", "<tool_call|>"];
    const id = controlId(model, open);
    return { ...PLAIN, name: "gemma", open, close, hasGemmaCalls: true, ...id };
  }
  if (template.includes("<minimax:tool_call>")) {
    const [open, close] = ["<minimax:tool_call>", "</minimax:tool_call>"];
    return { ...PLAIN, name: "markup", open, close, markup: INVOKE_TAGS };
  }
  if (/<function=/.test(template) && /<parameter=/.test(template)) {
    const [open, close] = ["<seed:tool_call>", "</seed:tool_call>"];
    const tags = template.includes(open) ? { open, close } : {};
    return { ...TAGGED, ...tags, name: "markup", markup: FUNCTION_TAGS };
  }
  if (template.includes("<arg_key>")) {
    return { ...TAGGED, name: "markup", close: "", markup: ARGUMENT_TAGS };
  }
  if (template.includes("<tool_call>")) return { ...TAGGED, name: "hermes" };
  if (/python_tag|ipython/.test(template) && template.includes("parameters")) {
    return { ...PLAIN, name: "llama3", argumentsKey: "parameters" };
  }
  return BARE_CALL;
}

/** The id of what opens calls, where it has no text. */
function controlId(model: LanguageModel, open: string): Pick<CallFormat, "openId"> {
  const ids = model.encodeText(open, { special: true });
  return ids.length === 1 && model.tokenBytes(ids[0]).length === 0 ? { openId: ids[0] } : {};
}
