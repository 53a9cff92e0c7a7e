/**
 * Where an option's value comes from when no flag gives it: the environment (GANGLION_<FLAG>),
 * then the config file, then the default. Values of both are read by the option's own parser, so
 * they mean the same everywhere.
 */
import { type Command, CommanderError, type Option } from "commander";
import { join } from "node:path";
import { UsageError } from "../base/errors.ts";
import { isJsonObject } from "../base/json_object.ts";
import { nearest } from "../base/nearest.ts";
import { readReason } from "../base/read_errors.ts";

/** A parsed config file: flag names without dashes in front, and one object per verb. */
type Config = Readonly<Record<string, unknown>>;

/** Reads environment variables; tests put their own here. */
export type Environment = (name: string) => string | undefined;

/**
 * Fills in the options of `verb` that were not given as flags.
 * @returns what the config file has that is no flag of this verb: others may have it.
 * @throws {UsageError} when a value or the config file cannot be read, or the verb's own part of
 *   the file has what is no flag of it.
 */
export function applySettings(verb: Command, env: Environment = getEnv): string[] {
  const options = verb.options.filter((option) => option.long !== "--help");
  for (const option of options) applyEnvironment(verb, option, env);
  const file: unknown = verb.getOptionValue("config");
  const config = readConfig(typeof file === "string" ? file : null, env);
  for (const option of options) applyConfig(verb, option, config);
  const own = config[verb.name()];
  const strange = isJsonObject(own) ? strangersIn(own, [verb]) : [];
  if (strange.length > 0) {
    throw noFlag(`${verb.name()}.${strange[0]}`, strange[0], [verb]);
  }
  return strangersIn(config, [verb]);
}

/**
 * Looks whether names in a config file are flags of any verb, or parts of one.
 * @throws {UsageError} when one is not.
 */
export function checkNames(names: readonly string[], verbs: readonly Command[]): void {
  const strange = names.find((name) =>
    !flagsOf(verbs).includes(name) && !verbs.some((verb) => verb.name() === name)
  );
  if (strange !== undefined) throw noFlag(strange, strange, verbs);
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
  const key = keyOf(option);
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

function strangersIn(config: Config, verbs: readonly Command[]): string[] {
  const known = flagsOf(verbs);
  return Object.keys(config).filter((key) => !known.includes(key));
}

/** Names of flags as a config file has them. */
function flagsOf(verbs: readonly Command[]): string[] {
  return verbs.flatMap(({ options }) => options.map(keyOf));
}

function keyOf({ long }: Option): string {
  return (long ?? "").replace(/^--/, "");
}

/** shown: the name with the part that it is in. */
function noFlag(shown: string, name: string, verbs: readonly Command[]): UsageError {
  const meant = nearest(name, flagsOf(verbs));
  const advice = meant === null ? "leave it out" : `is it to be "${meant}"?`;
  const who = verbs.length === 1 ? `"${verbs[0].name()}" has no such flag` : "it is no verb's flag";
  return new UsageError(`Cannot use "${shown}" of the config file: ${who}: ${advice}`);
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
