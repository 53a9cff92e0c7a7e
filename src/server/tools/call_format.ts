/**
 * How a model writes calls of functions, found out from its chat template: the format that the
 * template shows it for its own earlier calls. Knows nothing of requests.
 */
import type { LanguageModel } from "../../llm/types.ts";
import { ESCAPE_QUOTE, GEMMA_QUOTE } from "./gemma_arguments.ts";
import {
  ARGUMENT_TAGS,
  ATEM_TAGS,
  DSML,
  DSML_TAGS,
  FUNCTION_TAGS,
  INVOKE_TAGS,
  type Markup,
  PARAM_TAGS,
  suffixedTags,
  tagSuffixOf,
  XTML_TAGS,
} from "./markup_call.ts";
import {
  BARE_NAME_CALL,
  FENCED_CALL,
  type NamedMarks,
  NUMBERED_CALL,
  PARTED_CALL,
  RECIPIENT_CALL,
  TAGGED_CALL,
} from "./named_call.ts";

export interface CallFormat {
  readonly name:
    | "hermes"
    | "mistral"
    | "llama3"
    | "python"
    | "named"
    | "recipients"
    | "list"
    | "gemma"
    | "markup"
    | "json"
    | "instructed";
  /** Text that opens a call; empty: a call is all of an answer. */
  readonly open: string;
  /** Text that may follow a call. */
  readonly close: string;
  /** What of the format are control tokens, which have no text in an answer. */
  readonly controls?: ReadonlyMap<number, string>;
  /** What the model calls a function's name; left out: "name". */
  readonly nameKey?: "name" | "tool_name";
  /** What the model calls the arguments. */
  readonly argumentsKey: "arguments" | "parameters";
  /** Calls are the members of a list, even a single one. */
  readonly isList?: boolean;
  /** Several calls stand between one opening and its closing. */
  readonly isBlock?: boolean;
  /** A call's name is the one member of its object: `{name: arguments}`. */
  readonly isKeyed?: boolean;
  /** What may stand before calls that have no opening. */
  readonly bareMark?: string;
  /** Calls may be `name.call(argument=value, …)`, too. */
  readonly hasDottedCalls?: boolean;
  /** Opens text for people, as `open` and a name open a call; the prompt ends with `open`. */
  readonly textLead?: string;
  /** What stands around text and says nothing. */
  readonly frames?: readonly string[];
  /** What of them closes the text that the prompt has opened. */
  readonly textEnd?: string;
  /** Calls may be made before thoughts are closed. */
  readonly endsThoughts?: boolean;
  /** A call's name is between marks, its arguments are JSON. */
  readonly named?: NamedMarks;
  /** Calls are `[name(argument=value, …), …]`. */
  readonly hasPythonCalls?: boolean;
  /** Calls are `call:name{argument:value, …}`, and texts stand between two of this. */
  readonly gemmaQuote?: string;
  /** A call's name and arguments are between tags. */
  readonly markup?: Markup;
  /** The template leaves out earlier calls: they have to be text. */
  readonly hidesCalls?: boolean;
  /** The template shows calls where a message has no text: not even an empty one. */
  readonly asksForNoText?: boolean;
  /** The template wants arguments as JSON. */
  readonly hasTextArguments?: boolean;
  /** The template looks for functions in the system's message, as a text. */
  readonly isToldBySystem?: boolean;
  /** Characters of a call's id, where the template counts them. */
  readonly idChars: number | null;
  /** The template shows or compares calls' ids. */
  readonly knowsIds?: boolean;
  /** False: the template does not say which functions there are, so that a message has to. */
  readonly isInTemplate: boolean;
}

const PLAIN: Omit<CallFormat, "name"> = {
  open: "",
  close: "",
  argumentsKey: "arguments",
  idChars: null,
  isInTemplate: true,
};

/** A call is an object, and all of an answer. */
export const BARE_CALL: CallFormat = { ...PLAIN, name: "json" };

const TAGGED = { ...PLAIN, open: "<tool_call>", close: "</tool_call>" };

/** The format of the model's own template, or tags that it is told of. */
export function callFormatOf(model: LanguageModel): CallFormat {
  const template = model.details?.chatTemplate ?? "";
  const knowsIds = /tool_call_id|\.id\b|\[["']id["']\]/.test(template);
  const format = formatOf(template);
  const controls = controlsOf(model, marksOf(format));
  return { ...format, ...(knowsIds && { knowsIds }), ...(controls.size > 0 && { controls }) };
}

/** Texts of a format that may have control tokens in them. */
function marksOf({ open, close, named, markup, bareMark = "", ...format }: CallFormat): string[] {
  const { begin, before, behind, end } = named ?? NO_MARKS;
  const tags = markup ? [...markup.name, ...markup.key, ...markup.value, markup.end, DSML] : [];
  const quote = format.gemmaQuote ?? "";
  return [
    open,
    begin,
    before,
    behind,
    end,
    close,
    quote,
    bareMark,
    ...format.frames ?? [],
    ...tags,
  ];
}

const NO_MARKS = { begin: "", before: "", behind: "", end: "" };

function formatOf(template: string): CallFormat {
  const isInTemplate = /\btools\b|\bfunctools\b/.test(template);
  const native = nativeFormat(template);
  if (native !== null) return { ...native, isInTemplate };
  if (!isInTemplate) return { ...TAGGED, name: "instructed", isInTemplate };
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
  if (/<function name="/.test(template) && /<param name="/.test(template)) {
    return { ...PLAIN, name: "markup", open: '<function name="', markup: PARAM_TAGS };
  }
  if (template.includes("<tool_call>")) return { ...TAGGED, name: "hermes" };
  if (template.includes("<function=")) {
    return { ...PLAIN, name: "named", open: "<function=", named: TAGGED_CALL };
  }
  if (/python_tag|ipython/.test(template) && template.includes("parameters")) {
    const bare = { bareMark: "<|python_tag|>", hasDottedCalls: template.includes(".call(") };
    return { ...PLAIN, ...bare, name: "llama3", argumentsKey: "parameters" };
  }
  return BARE_CALL;
}

/** Formats that one of their marks tells. */
function nativeFormat(template: string): CallFormat | null {
  const has = (text: string) => template.includes(text);
  if (has("[TOOL_CALLS]")) {
    const named = BARE_NAME_CALL;
    const format = { ...PLAIN, open: "[TOOL_CALLS]", named, idChars: 9 } as const;
    return { ...format, name: "mistral", isList: !has("[ARGS]") };
  }
  if (/<\|tool_(call|list)_start\|>|List of tools: \[/.test(template)) {
    const [open, close] = ["<|tool_call_start|>", "<|tool_call_end|>"];
    const hidesCalls = !/\btool_calls\b/.test(template);
    return { ...PLAIN, name: "python", open, close, hasPythonCalls: true, hidesCalls };
  }
  if (has("<|tool_call>call:")) {
    const [open, close] = ["<|tool_call>", "<tool_call|>"];
    return { ...PLAIN, name: "gemma", open, close, gemmaQuote: GEMMA_QUOTE };
  }
  if (has("<start_function_call>")) {
    const [open, close] = ["<start_function_call>", "<end_function_call>"];
    return { ...PLAIN, name: "gemma", open, close, gemmaQuote: ESCAPE_QUOTE };
  }
  if (has("<｜tool▁calls▁begin｜>")) {
    const [open, close] = ["<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"];
    const named = has("```") ? FENCED_CALL : PARTED_CALL;
    const asksForNoText = /\['content'\] is (not )?none/.test(template);
    return { ...PLAIN, name: "named", open, close, named, asksForNoText };
  }
  if (has("<|tool_calls_section_begin|>")) {
    const [open, close] = ["<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"];
    return { ...PLAIN, name: "named", open, close, named: NUMBERED_CALL };
  }
  if (has("<|function_call|>")) return { ...PLAIN, name: "hermes", open: "<|function_call|>" };
  if (has("<|role_sep|>") && has("<|message_sep|>")) {
    // GigaChat 3's calls are messages of their own; its marks are tokens with line breaks in them.
    const textEnd = "<|message_sep|>\n\n";
    const open = "function call<|role_sep|>\n";
    return { ...PLAIN, name: "hermes", open, frames: [textEnd], textEnd };
  }
  const suffix = tagSuffixOf(template);
  if (suffix !== undefined) {
    const [open, close] = [`<tool_calls${suffix}>`, `</tool_calls${suffix}>`];
    return { ...PLAIN, name: "markup", open, close, markup: suffixedTags(suffix) };
  }
  if (has("<|open|>") && has("<|close|>")) {
    const [open, close] = ["<|open|>tools<|sep|>", "<|close|>tools<|sep|>"];
    const textEnd = "<|close|>response<|sep|>";
    const frames = ["<|open|>response<|sep|>", textEnd, "<|close|>message<|sep|>"];
    return { ...PLAIN, frames, textEnd, name: "markup", open, close, markup: XTML_TAGS };
  }
  if (has(DSML)) {
    // V3.2's name of the block, and V4's.
    const block = `${DSML}${has("function_calls") ? "function_calls" : "tool_calls"}>`;
    const [open, close] = [`<${block}`, `</${block}`];
    return { ...PLAIN, name: "markup", open, close, markup: DSML_TAGS, endsThoughts: true };
  }
  if (has("<atem:function_calls>")) {
    const [open, close] = ["<atem:function_calls>", "</atem:function_calls>"];
    // A call that must be made is a message to a tool.
    const textEnd = " to=tool<|message|>";
    return { ...PLAIN, name: "markup", open, close, markup: ATEM_TAGS, textEnd };
  }
  if (has(">>>all")) {
    const more = { textLead: "all\n", hasTextArguments: true };
    return { ...PLAIN, ...more, name: "recipients", open: ">>>", named: RECIPIENT_CALL };
  }
  return listFormat(template);
}

/** Formats whose calls are a list, or stand together. */
function listFormat(template: string): CallFormat | null {
  const has = (text: string) => template.includes(text);
  if (has("<|tools_prefix|>")) {
    const [open, close] = ["<|tools_prefix|>", "<|tools_suffix|>"];
    const list = { isList: true, isKeyed: true, endsThoughts: true };
    return { ...PLAIN, ...list, name: "list", open, close };
  }
  if (has("<|START_ACTION|>")) {
    const [open, close] = ["<|START_ACTION|>", "<|END_ACTION|>"];
    const keys = { nameKey: "tool_name", argumentsKey: "parameters" } as const;
    return { ...PLAIN, ...keys, name: "list", open, close, isList: true };
  }
  // Granite 3; Phi-4-mini, which closes them.
  const isPhi = has("<|tool|>");
  if (isPhi || has("<|tool_call|>")) {
    const [open, close] = ["<|tool_call|>", isPhi ? "<|/tool_call|>" : ""];
    const more = { hidesCalls: !/\btool_calls\b/.test(template), isToldBySystem: isPhi };
    return { ...PLAIN, ...more, name: "list", open, close, isList: true };
  }
  // Firefunction, which gets its functions as a text.
  if (has("functools[")) return { ...PLAIN, name: "list", open: "functools", isList: true };
  // MiniMax M1.
  if (has("<tool_calls>\\n{")) {
    const [open, close] = ["<tool_calls>", "</tool_calls>"];
    return { ...PLAIN, name: "hermes", open, close, isBlock: true };
  }
  // Nemotron Nano 2; Apriel 1.6.
  const tag = ["TOOLCALL", "tool_calls"].find((name) => has(`<${name}>[`));
  if (tag === undefined) return null;
  return { ...PLAIN, name: "list", open: `<${tag}>`, close: `</${tag}>`, isList: true };
}

/** What control tokens look like. */
const CONTROL = /<[^<>\s]+>|\[[^[\]\s]+\]|^｜[^｜\s]+｜$/g;

/** The same with the line breaks behind it, which few have in them. */
const BROKEN_CONTROL = /<[^<>\s]+>\n+/g;

/** Control tokens that texts consist of, and how they are spelt. */
export function controlsOf(model: LanguageModel, texts: readonly string[]): Map<number, string> {
  const controls = new Map<number, string>();
  const found = [CONTROL, BROKEN_CONTROL].flatMap((kind) =>
    texts.flatMap((each) => each.match(kind) ?? [])
  );
  for (const text of found) {
    const ids = model.encodeText(text, { special: true });
    if (ids.length === 1 && model.tokenBytes(ids[0]).length === 0) controls.set(ids[0], text);
  }
  return controls;
}
