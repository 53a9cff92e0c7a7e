/** What begins with / in a chat is for the program, not for the model. */
import { UsageError } from "../../base/errors.ts";
import { nearest } from "../../base/nearest.ts";
import { applySetting, type ChatState, describeSettings, SETTING_NAMES } from "./chat_state.ts";
import { loadChat, saveChat } from "./saved_chat.ts";

/** What a command works on. */
export interface CommandContext {
  readonly state: ChatState;
  /** Facts about the model, a line each. */
  readonly describeModel: () => readonly string[];
  readonly modelId: string;
  /** Tells whoever types. */
  readonly tell: (text: string) => void;
}

/** What is to be done next. */
export type NextStep = "read" | "leave" | "answer";

interface ChatCommand {
  readonly names: readonly string[];
  readonly argument?: string;
  readonly summary: string;
  run(rest: string, context: CommandContext): NextStep | void;
}

const COMMANDS: readonly ChatCommand[] = [
  { names: ["/help", "/?"], summary: "this list", run: (_rest, { tell }) => tell(helpText()) },
  {
    names: ["/set"],
    argument: "NAME VALUE",
    summary: "system, temperature, seed, …; without a value: the default",
    run: (rest, { state, tell }) => {
      const [, name = "", value = ""] = /^(\S*)\s*([^]*)$/.exec(rest) ?? [];
      if (name === "") tell(settingsText(state));
      else applySetting(state, name, unquoted(value));
    },
  },
  {
    names: ["/show"],
    summary: "the model, what is set, and how long the conversation is",
    run: (_rest, { state, describeModel, tell }) =>
      tell([...describeModel(), settingsText(state)].join("\n")),
  },
  {
    names: ["/save"],
    argument: "FILE",
    summary: "write the conversation to a file",
    run: (rest, { state, modelId, tell }) => {
      const path = requireFile(rest, "/save");
      saveChat(path, modelId, state);
      tell(`Saved ${state.messages.length} messages to ${path}`);
    },
  },
  {
    names: ["/load"],
    argument: "FILE",
    summary: "go on with a conversation that was saved",
    run: (rest, { state, modelId, tell }) => {
      const model = loadChat(requireFile(rest, "/load"), state);
      const other = model === modelId ? "" : `, begun with ${model}`;
      tell(`Loaded ${state.messages.length} messages${other}`);
    },
  },
  {
    names: ["/clear"],
    summary: "forget the conversation",
    run: (_rest, { state }) => void (state.messages = []),
  },
  {
    names: ["/retry"],
    summary: "another answer to the last message",
    run: (_rest, { state }) => {
      if (state.messages.at(-1)?.role === "assistant") state.messages.pop();
      if (state.messages.length === 0) throw new UsageError("Cannot retry: nothing was asked yet");
      return "answer";
    },
  },
  { names: ["/bye", "/exit", "/quit"], summary: "leave (or Ctrl-D)", run: () => "leave" },
];

const NAMES = COMMANDS.flatMap(({ names }) => names);

/** True for a line that begins as a command does; a path such as /etc/hosts is none. */
export function isCommand(line: string): boolean {
  return /^\/(\w+|\?)(\s|$)/.test(line);
}

/** True for one that there is. */
export function isKnownCommand(line: string): boolean {
  return NAMES.includes(line.split(/\s/, 1)[0].toLowerCase());
}

/**
 * Does what a line says.
 * @throws {UsageError} when it cannot be done, or there is no such command.
 */
export function runCommand(line: string, context: CommandContext): NextStep {
  const [, word = "", rest = ""] = /^(\S+)\s*([^]*)$/.exec(line.trim()) ?? [];
  const command = COMMANDS.find(({ names }) => names.includes(word.toLowerCase()));
  if (command !== undefined) return command.run(rest.trim(), context) ?? "read";
  const near = nearest(word, NAMES);
  const advice = near === null ? "/help lists what there is" : `did you mean ${near}?`;
  throw new UsageError(`Cannot do ${word}: ${advice}`);
}

/** What a line may become: commands, and what /set sets. */
export function completeLine(line: string): readonly string[] {
  const setting = /^\/set\s+(\S*)$/.exec(line);
  if (setting !== null) {
    return SETTING_NAMES.filter((name) => name.startsWith(setting[1])).map((name) =>
      `/set ${name} `
    );
  }
  return line.startsWith("/") ? NAMES.filter((name) => name.startsWith(line)) : [];
}

function helpText(): string {
  const lines = COMMANDS.map(({ names, argument = "", summary }) =>
    `  ${`${names[0]} ${argument}`.padEnd(20)}${summary}`
  );
  return [
    'A line is a message. Several lines: between """ and """, or with \\ at the end of a line.',
    "Ctrl-C stops an answer; twice it leaves. Up and down: what was typed before.",
    ...lines,
  ].join("\n");
}

function settingsText(state: ChatState): string {
  const lines = describeSettings(state);
  return lines.length === 0 ? "Nothing is set: all defaults" : lines.join("\n");
}

function requireFile(rest: string, name: string): string {
  if (rest !== "") return unquoted(rest);
  throw new UsageError(`Cannot do ${name}: give the name of a file`);
}

/** A value may stand in quotes. */
function unquoted(text: string): string {
  return /^(["'])([^]*)\1$/.exec(text)?.[2] ?? text;
}
