/** Runs programs that print one JSON document. */
import { ENGINE_TIMEOUT_MS } from "./engine.ts";

export interface RunOptions {
  readonly stdin?: string;
  /** Added to the inherited environment; undefined takes a variable out of it. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs?: number;
}

/**
 * The document that a program prints; its stderr is shown only when it fails.
 * @throws when it cannot be started, fails, takes too long, or prints something else.
 */
export async function runJson(
  program: string,
  args: readonly string[],
  { stdin = "", env, timeoutMs = ENGINE_TIMEOUT_MS }: RunOptions = {},
): Promise<unknown> {
  const child = new Deno.Command(program, {
    args: [...args],
    clearEnv: true,
    env: childEnvironment(env ?? {}),
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(timeoutMs),
  }).spawn();
  const output = child.output();
  await feed(child.stdin, stdin);
  const { success, code, stdout, stderr } = await output;
  const printed = new TextDecoder().decode(stdout);
  if (!success) {
    const said = new TextDecoder().decode(stderr).trim().split("\n").slice(-5).join("\n");
    throw new Error(`"${program}" ended with code ${code}: ${said || "it said nothing"}`);
  }
  try {
    return JSON.parse(printed);
  } catch {
    throw new Error(`"${program}" printed no JSON document but "${printed.slice(0, 200)}"`);
  }
}

function childEnvironment(
  changes: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const environment: Record<string, string> = Deno.env.toObject();
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) delete environment[name];
    else environment[name] = value;
  }
  return environment;
}

/** A program that ends without reading breaks the pipe; its exit code says why. */
async function feed(stream: WritableStream<Uint8Array>, text: string): Promise<void> {
  try {
    await new Blob([text]).stream().pipeTo(stream);
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
