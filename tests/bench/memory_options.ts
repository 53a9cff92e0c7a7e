/** The command line of `under_memory_limit.ts`: text in, options out. */
import { Command, InvalidArgumentError } from "commander";
import { basename } from "node:path";
import { byteSize, decimal, wholeNumber } from "../../src/cli/option_values.ts";
import type { LimitedCommand } from "./limited_run.ts";

export interface MemoryBenchOptions {
  readonly limitBytes: number;
  /** In their order; the first is what the others are compared with. */
  readonly commands: readonly LimitedCommand[];
  readonly rounds: number;
  /** Files that leave the page cache before every run. */
  readonly evict: readonly string[];
  /** Drop the whole machine's page cache as well. */
  readonly dropCaches: boolean;
  readonly timeoutMs: number;
  /** File for everything measured, written after every run. */
  readonly json?: string;
  /** Folder for what the commands print. */
  readonly outputs?: string;
}

/**
 * Options of a command line.
 * @throws {CommanderError} when it cannot be understood (commander has written why to stderr), and
 *   for --help, with exit code 0.
 */
export function parseMemoryBenchArgs(args: readonly string[]): MemoryBenchOptions {
  const command = new Command("under_memory_limit")
    .description(
      "Run commands in a memory cgroup (as root), in turns: their speed and their memory.",
    )
    .usage("--limit SIZE [options] (--run NAME='COMMAND'… | -- COMMAND…)")
    .argument("[command...]", "one command, behind --")
    .requiredOption("--limit <size>", "memory of a command, page cache included", byteSize)
    .option("--run <name=command>", "a command of a shell, again for each", addNamed, [])
    .option("--rounds <n>", "rounds in which every command has its turn", wholeNumber(ONE), 1)
    .option("--evict <file>", "drop it from the page cache before every run; again", add, [])
    .option("--drop-caches", "drop the whole machine's page cache before every run")
    .option("--timeout <s>", "seconds after which a run is ended", decimal({ min: 0.001 }), 600)
    .option("--json <file>", "write everything measured, after every run")
    .option("--outputs <folder>", "keep what the commands print")
    .exitOverride()
    .parse([...args], { from: "user" });
  const flags = command.opts();
  const behind = command.args.length > 0
    ? [{ name: basename(command.args[0]), args: command.args }]
    : [];
  const commands: readonly LimitedCommand[] = [...flags.run, ...behind];
  if (commands.length === 0) command.error("error: name a command: --run NAME='COMMAND', or -- …");
  if (behind.length > 0 && commands.length > 1) {
    command.error("error: --run and a command behind -- exclude each other");
  }
  return {
    limitBytes: flags.limit,
    commands,
    rounds: flags.rounds,
    evict: flags.evict,
    dropCaches: flags.dropCaches ?? false,
    timeoutMs: flags.timeout * 1000,
    json: flags.json,
    outputs: flags.outputs,
  };
}

const ONE = { min: 1 };

function add(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

/** "ours=deno run x" → a command for a shell. */
function addNamed(text: string, before: readonly LimitedCommand[]): LimitedCommand[] {
  const split = text.indexOf("=");
  const [name, line] = [text.slice(0, split).trim(), text.slice(split + 1).trim()];
  // Names become files with --outputs.
  if (split < 0 || !/^[\w.+ -]+$/.test(name) || line === "") {
    throw new InvalidArgumentError("NAME='COMMAND' is needed; names of letters and digits.");
  }
  if (before.some((each) => each.name === name)) {
    throw new InvalidArgumentError(`${name} is named twice.`);
  }
  return [...before, { name, args: ["sh", "-c", line] }];
}
