/** Where and from what a benchmark was made: without it no figure can be compared. */
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly os: string;
  readonly deno: string;
  readonly v8: string;
  /** Of the last minute, before the run: what others did meanwhile. */
  readonly loadAverage: number;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() || "unknown",
    cores: navigator.hardwareConcurrency,
    memoryBytes: Deno.systemMemoryInfo().total,
    os: `${Deno.build.os} ${Deno.osRelease()} ${Deno.build.arch}`,
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    loadAverage: Deno.loadavg()[0],
  };
}

/** Short name of the commit that is measured, "+" behind it when files differ; null without git. */
export async function describeCommit(): Promise<string | null> {
  const name = await git("rev-parse", "--short", "HEAD");
  if (name === null) return null;
  return await git("status", "--porcelain") === "" ? name : `${name}+`;
}

async function git(...args: string[]): Promise<string | null> {
  const cwd = fileURLToPath(new URL("../..", import.meta.url));
  try {
    const { success, stdout } = await new Deno.Command("git", { args, cwd }).output();
    return success ? new TextDecoder().decode(stdout).trim() : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
