/** A terminal for tests: `script` of util-linux runs a command on a pseudo-terminal. */
import { fileURLToPath } from "node:url";
import { Log } from "./server_process.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** Why there is no terminal here; null: there is. */
export function whyNoTerminal(): string | null {
  try {
    const { stdout } = new Deno.Command("script", { args: ["--version"] }).outputSync();
    const isKnown = new TextDecoder().decode(stdout).includes("util-linux");
    return isKnown ? null : "script is not of util-linux";
  } catch {
    return "script of util-linux is missing";
  }
}

export interface Terminal {
  /** What the terminal has shown. */
  readonly log: Log;
  /** Waits until it shows this; fails when it does not. */
  see(pattern: RegExp): Promise<RegExpExecArray>;
  type(keys: string): Promise<void>;
  /** Sends the signal that the terminal makes of Ctrl-C where nobody reads keys. */
  interrupt(): void;
  /** The exit status. */
  readonly ended: Promise<number>;
}

/** Runs `ganglion ARGS` on a terminal while `use` looks at it and types. */
export function withTerminal(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  use: (terminal: Terminal) => Promise<void>,
): Promise<void> {
  const words = [Deno.execPath(), "run", "--no-check", "--no-prompt", "-A", MAIN, ...args];
  return runOnTerminal(words, env, use);
}

/** Runs any program on a terminal: `words` are its path and arguments. */
export async function runOnTerminal(
  words: readonly string[],
  env: Readonly<Record<string, string>>,
  use: (terminal: Terminal) => Promise<void>,
): Promise<void> {
  const pidFile = await Deno.makeTempFile();
  const line = `echo $$ >${pidFile}; exec ${words.map((word) => `'${word}'`).join(" ")}`;
  const child = new Deno.Command("script", {
    args: ["--quiet", "--return", "--command", line, "/dev/null"],
    env: { XDG_CONFIG_HOME: "/nonexistent", NO_COLOR: "1", TERM: "xterm", ...env },
    ...{ stdin: "piped", stdout: "piped", stderr: "null" },
  }).spawn();
  const log = new Log(child.stdout);
  const keys = child.stdin.getWriter();
  const ended = child.status.then(({ code }) => code);
  let isEnded = false;
  ended.then(() => isEnded = true);
  try {
    const see = (pattern: RegExp) => soon(log, pattern);
    const type = (text: string) => keys.write(new TextEncoder().encode(text));
    const interrupt = () => Deno.kill(Number(Deno.readTextFileSync(pidFile)), "SIGINT");
    await use({ log, see, type, interrupt, ended });
  } finally {
    if (!isEnded) child.kill("SIGTERM");
    await keys.abort().catch(() => {});
    await Promise.all([ended, log.ended]);
    await Deno.remove(pidFile);
  }
}

const PATIENCE_MS = 20_000;

async function soon(log: Log, pattern: RegExp): Promise<RegExpExecArray> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new Error(`The terminal does not show ${pattern}, but ${JSON.stringify(log.text)}`));
  }, PATIENCE_MS);
  try {
    return await Promise.race([log.match(pattern), late]);
  } finally {
    clearTimeout(timer);
  }
}
