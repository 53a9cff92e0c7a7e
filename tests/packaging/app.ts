/** A packed program for tests: made once for a test file, started in strange places. */
import { join } from "node:path";
import { writeAppFolder } from "../../packaging/app_folder.ts";

let made: Promise<string> | undefined;

/** The app's folder; removed when the process ends. */
export function appFolder(): Promise<string> {
  return made ??= (async () => {
    const folder = join(temporaryFolder(), "app");
    await writeAppFolder(folder);
    return folder;
  })();
}

/** A folder that is removed when the process ends. */
export function temporaryFolder(): string {
  const folder = Deno.makeTempDirSync({ prefix: "ganglion-packaging-" });
  globalThis.addEventListener("unload", () => {
    new Deno.Command("chmod", { args: ["-R", "u+w", folder] }).outputSync();
    Deno.removeSync(folder, { recursive: true });
  });
  return folder;
}

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, in an environment of its own. */
export async function runToEnd(
  program: string,
  args: readonly string[],
  { cwd, env }: { readonly cwd: string; readonly env: Record<string, string> },
): Promise<Ended> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd,
    env,
    clearEnv: true,
    stdin: "null",
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}

/** A folder whose configuration would break whatever believes it. */
export function hostileFolder(): string {
  const folder = temporaryFolder();
  Deno.writeTextFileSync(join(folder, "deno.json"), '{ "imports": 1, "lock": { "frozen": true } }');
  Deno.writeTextFileSync(join(folder, "package.json"), "{");
  return folder;
}
