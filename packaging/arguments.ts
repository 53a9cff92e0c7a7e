/** The command line of a packaging task: an option that it does not have is said in words. */
import { parseArgs, type ParseArgsConfig } from "node:util";

/** What a task was asked for. */
export interface TaskArguments {
  readonly out: string;
  /** Options of one task alone; `fallback` where they are not given. */
  readonly target: string;
  readonly positionals: readonly string[];
}

/** How a task is used, and what it takes. */
export interface TaskUsage {
  readonly usage: string;
  /** Whether it takes words beside options, and has `--target`. */
  readonly takesKinds?: boolean;
  readonly target?: string;
}

/** Reads them; a number: the task ends with this status, and what there is to say is said. */
export function readArguments(
  args: readonly string[],
  { usage, takesKinds = false, target }: TaskUsage,
): TaskArguments | number {
  const options: ParseArgsConfig["options"] = {
    out: { type: "string", default: "dist" },
    help: { type: "boolean", default: false },
    ...(target === undefined ? {} : { target: { type: "string", default: target } }),
  };
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options,
      allowPositionals: takesKinds,
    });
    if (values.help !== true) {
      return { out: String(values.out), target: String(values.target ?? ""), positionals };
    }
    console.log(usage);
    return 0;
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error), usage);
  }
}

/** Says what is wrong and how it is right; @returns the exit status of wrong usage. */
export function refuse(why: string, usage: string): number {
  console.error(`error: ${why}\n${usage}`);
  return 2;
}
