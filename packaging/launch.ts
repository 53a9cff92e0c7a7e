/**
 * With what flags Deno is started wherever Ganglion is packed: those of the task `ganglion`, which
 * is what everybody tests. Knows nothing of packages.
 */
import project from "../deno.json" with { type: "json" };

/** How a process of Ganglion's is started. */
export interface Launch {
  /** V8's flags, joined by commas: half of the speed, and a bound on memory. */
  readonly v8Flags: string;
  /** What a program may do. */
  readonly permissions: readonly string[];
}

/** Nothing of the user's folder (deno.json, package.json), nothing from the network. */
const ALONE_FLAGS: readonly string[] = ["--no-config", "--no-remote", "--no-npm"];

/** The flags of the task `ganglion`. */
export function readLaunch(): Launch {
  const { command } = project.tasks.ganglion;
  const match = /^DENO_V8_FLAGS=(\S+) deno run (.+) src\/cli\/main\.ts$/.exec(command);
  if (match === null) {
    throw new Error(
      `Cannot read the flags of deno.json's task "ganglion": it is "${command}", not ` +
        '"DENO_V8_FLAGS=… deno run … src/cli/main.ts"',
    );
  }
  return {
    v8Flags: match[1],
    permissions: match[2].split(" "),
  };
}

/** Arguments of `deno` up to the program, which lies alone in a folder. */
export function runArguments({ permissions }: Launch): readonly string[] {
  return ["run", ...permissions, ...ALONE_FLAGS];
}
