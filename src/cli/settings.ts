/**
 * Where an option's value comes from when no flag gives it: the environment (GANGLION_<FLAG>),
 * then the config file, then the default. Values of both are read by the option's own parser, so
 * they mean the same everywhere.
 */
import { type Command, CommanderError, type Option } from "commander";
import { join } from "node:path";
import { UsageError } from "../base/errors.ts";
import { isJsonObject } from "../base/json_object.ts";
import { readReason } from "../base/read_errors.ts";

/** A parsed config file: flag names without dashes in front, and one object per verb. */
type Config = Readonly<Record<string, unknown>>;

/** Reads environment variables; tests put their own here. */
export type Environment = (name: string) => string | undefined;

/**
 * Fills in the options of `verb` that were not given as flags.
 * @throws {UsageError} when a value or the config file cannot be read.
 */
export function applySettings(verb: Command, env: Environment = getEnv): void {
  const options = verb.options.filter((option) => option.long !== "--help");
  for (const option of options) applyEnvironment(verb, option, env);
  const file: unknown = verb.getOptionValue("config");
  const config = readConfig(typeof file === "string" ? file : null, env);
  for (const option of options) applyConfig(verb, option, config);
}

/** "--ctx-size" → "GANGLION_CTX_SIZE". */
export function environmentName(flag: string): string {
  return `GANGLION_${flag.replace(/^--/, "").replaceAll("-", "_").toUpperCase()}`;
}

/** The value of an environment variable; an empty one counts as not set. */
export function getEnv(name: string): string | undefined {
  return Deno.env.get(name) || undefined;
}

function applyEnvironment(verb: Command, option: Option, env: Environment): void {
  const name = environmentName(option.long ?? "");
  const text = env(name);
  if (text === undefined || !isOpen(verb, option)) return;
  setOption(verb, option, { text, source: "env", origin: name });
}

function applyConfig(verb: Command, option: Option, config: Config): void {
  const key = (option.long ?? "").replace(/^--/, "");
  const own = config[verb.name()];
  const value = isJsonObject(own) && key in own ? own[key] : config[key];
  if (value === undefined || value === null || !isOpen(verb, option)) return;
  if (typeof value === "object") {
    throw new UsageError(
      `Cannot use "${key}" of the config file: it is no text, number or boolean`,
    );
  }
  setOption(verb, option, { text: String(value), source: "config", origin: `config "${key}"` });
}

/** True while neither a flag nor a stronger source has set the option. */
function isOpen(verb: Command, option: Option): boolean {
  const source = verb.getOptionValueSource(option.attributeName());
  return source === undefined || source === "default";
}

function setOption(
  verb: Command,
  option: Option,
  { text, source, origin }: { text: string; source: "env" | "config"; origin: string },
): void {
  const value = option.isBoolean() ? parseBoolean(text, origin) : parseValue(option, text, origin);
  verb.setOptionValueWithSource(option.attributeName(), value, source);
}

function parseBoolean(text: string, origin: string): boolean {
  if (["1", "true", "yes", "on"].includes(text.toLowerCase())) return true;
  if (["0", "false", "no", "off"].includes(text.toLowerCase())) return false;
  throw new UsageError(`Cannot use ${origin}: "${text}" is neither true nor false`);
}

function parseValue(option: Option, text: string, origin: string): unknown {
  if (option.argChoices && !option.argChoices.includes(text)) {
    throw new UsageError(
      `Cannot use ${origin}: "${text}" is none of ${option.argChoices.join(", ")}`,
    );
  }
  try {
    return option.parseArg ? option.parseArg(text, undefined) : text;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    throw new UsageError(`Cannot use ${origin}: "${text}": ${error.message}`);
  }
}

/** The config file's content; the default one may be missing, a named one may not. */
function readConfig(named: string | null, env: Environment): Config {
  const path = named ?? defaultConfigPath(env);
  if (path === null) return {};
  try {
    const config: unknown = JSON.parse(Deno.readTextFileSync(path));
    if (isJsonObject(config)) return config;
    throw new SyntaxError("it is no object");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound && named === null) return {};
    const reason = error instanceof SyntaxError
      ? `${error.message}: it is to be JSON, such as {"threads": 4}`
      : readReason(error);
    throw new UsageError(`Cannot read the config file "${path}": ${reason}`);
  }
}

function defaultConfigPath(env: Environment): string | null {
  const home = env("HOME") ?? env("USERPROFILE");
  const folder = env("XDG_CONFIG_HOME") ?? (home ? join(home, ".config") : null);
  return folder ? join(folder, "ganglion", "config.json") : null;
}
