/** The command line of `ablation.ts`: text in, options out. */
import { Command } from "commander";
import { byteSize, wholeNumber } from "../../src/cli/option_values.ts";

export interface AblationOptions {
  readonly modelPath: string;
  readonly memoryBytes: number;
  readonly rounds: number;
  readonly promptTokens: number;
  readonly genTokens: number;
  readonly threads?: number;
  readonly ioThreads?: number;
  /** File for everything measured, written after every run. */
  readonly json?: string;
}

/**
 * Options of a command line.
 * @throws {CommanderError} when it cannot be understood (commander has written why to stderr), and
 *   for --help, with exit code 0.
 */
export function parseAblationArgs(args: readonly string[]): AblationOptions {
  const command = new Command("ablation")
    .description("Measure what each step of streaming is worth: a packed model, in turns.")
    .argument("<model>", "a .ganglion file, better one with predictors")
    .requiredOption("--memory <size>", "memory that it may take, the same in every step", byteSize)
    .option("--rounds <n>", "rounds in which every step has its turn", wholeNumber(ONE), 1)
    .option("--prompt-tokens <n>", "length of the prompt", wholeNumber(ONE), 16)
    .option("--gen-tokens <n>", "length of the answer", wholeNumber(ONE), 64)
    .option("--threads <n>", "threads that compute (default: one per core)", wholeNumber(ONE))
    .option("--io-threads <n>", "threads that read (default: as planned)", wholeNumber(ONE))
    .option("--json <file>", "write everything measured, after every run")
    .exitOverride()
    .parse([...args], { from: "user" });
  const { memory: memoryBytes, ...rest } = command.opts();
  return { modelPath: command.args[0], memoryBytes, ...rest } as AblationOptions;
}

const ONE = { min: 1 };
