/** What a conversation on the terminal is made of, and what of it can be set. */
import { CommanderError } from "commander";
import { UsageError } from "../../base/errors.ts";
import type { ChatMessage, SamplingOptions } from "../../llm/mod.ts";
import { nearest } from "../../base/nearest.ts";
import { decimal, wholeNumber } from "../option_values.ts";

export interface ChatState {
  /** Instructions that stand before the conversation, or null. */
  system: string | null;
  /** Without the system's. */
  messages: ChatMessage[];
  sampling: SamplingOptions;
  maxTokens: number | undefined;
  /** Tells how fast each answer was. */
  verbose: boolean;
}

type NumberName = {
  [K in keyof SamplingOptions]-?: SamplingOptions[K] extends number | undefined ? K : never;
}[keyof SamplingOptions];

const SAMPLING: Readonly<Record<string, readonly [NumberName, (text: string) => number]>> = {
  temperature: ["temperature", decimal({ min: 0 })],
  "top-k": ["topK", wholeNumber()],
  "top-p": ["topP", decimal({ min: 0, max: 1 })],
  "min-p": ["minP", decimal({ min: 0, max: 1 })],
  "typical-p": ["typicalP", decimal({ min: 0, max: 1 })],
  "repeat-penalty": ["repeatPenalty", decimal({ min: 0.01 })],
  "frequency-penalty": ["frequencyPenalty", decimal({ min: -2, max: 2 })],
  "presence-penalty": ["presencePenalty", decimal({ min: -2, max: 2 })],
  seed: ["seed", wholeNumber()],
};

/** Everything that /set knows. */
export const SETTING_NAMES: readonly string[] = [
  ...["system", "verbose", "max-tokens"],
  ...Object.keys(SAMPLING),
];

/**
 * Sets something; an empty value sets it back to its default.
 * @throws {UsageError} when there is no such setting, or no such value.
 */
export function applySetting(state: ChatState, name: string, value: string): void {
  const key = name.toLowerCase().replaceAll("_", "-");
  const parsed = <T>(parse: (text: string) => T) => parseSetting(key, value, parse);
  if (key === "system") state.system = value === "" ? null : value;
  else if (key === "verbose") state.verbose = parsed(onOrOff) ?? false;
  else if (key === "max-tokens") state.maxTokens = parsed(wholeNumber({ min: 1 }));
  else if (Object.hasOwn(SAMPLING, key)) {
    const [option, parse] = SAMPLING[key];
    state.sampling = { ...state.sampling, [option]: parsed(parse) };
  } else {
    const near = nearest(key, SETTING_NAMES);
    const advice = near === null ? `choose one of ${SETTING_NAMES.join(", ")}` : `"${near}"?`;
    throw new UsageError(`Cannot set "${key}": ${advice}`);
  }
}

function parseSetting<T>(
  name: string,
  value: string,
  parse: (text: string) => T,
): T | undefined {
  if (value === "") return undefined;
  try {
    return parse(value);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    throw new UsageError(`Cannot set ${name} to "${value}": ${error.message}`);
  }
}

function onOrOff(text: string): boolean {
  const isOn = ["on", "true", "1", "yes"].includes(text.toLowerCase());
  if (isOn || ["off", "false", "0", "no"].includes(text.toLowerCase())) return isOn;
  throw new UsageError(`Cannot set verbose to "${text}": it is on or off`);
}

/** What is set, a line each; defaults are left out. */
export function describeSettings({ system, sampling, maxTokens, verbose }: ChatState): string[] {
  const numbers = Object.entries(SAMPLING)
    .map(([name, [option]]) => [name, sampling[option]] as const);
  return [["system", system], ["max-tokens", maxTokens], ["verbose", verbose || null], ...numbers]
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name} ${value === true ? "on" : value}`);
}
