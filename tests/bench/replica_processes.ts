/** Server processes with the built-in model, and HAProxy in front of them: started, hurt, ended. */
import { pause } from "../../src/base/pause.ts";
import { freePort } from "../support/free_port.ts";

/** A server in a process of its own, on a port that stays its own. */
export class Replica {
  readonly port: number;
  readonly url: string;
  readonly #flags: readonly string[];
  #child: Deno.ChildProcess | null = null;

  /** `flags` are more of `serve`'s. */
  constructor(port: number, flags: readonly string[] = []) {
    this.port = port;
    this.#flags = flags;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Starts it, and waits until it answers. */
  async start(): Promise<void> {
    const options = ["--port", String(this.port), "--threads", "1", "--parallel", "4"];
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--allow-read",
        "--allow-write",
        "--allow-env",
        "--allow-sys=systemMemoryInfo",
        "--allow-net",
        "src/cli/main.ts",
        "serve",
        ...options,
        ...this.#flags,
        "--log-level",
        "error",
        "--metrics-compat",
        "vllm",
      ],
      env: { DENO_V8_FLAGS: "--no-wasm-bounds-checks,--experimental-wasm-revectorize" },
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    await until(() => isReady(this.url), `a replica at ${this.url}`);
  }

  /** @throws {Error} when it was not started. */
  get processId(): number {
    if (this.#child === null) throw new Error(`No replica at ${this.url}: it was not started`);
    return this.#child.pid;
  }

  signal(name: Deno.Signal): void {
    this.#child?.kill(name);
  }

  async ended(): Promise<void> {
    await this.#child?.status;
    this.#child = null;
  }

  async stop(): Promise<void> {
    if (this.#child === null) return;
    this.signal("SIGCONT");
    this.signal("SIGKILL");
    await this.ended();
  }

  /** Sum of a metric over its labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const lines = text.split("\n").filter((line) =>
      line.startsWith(`${name}{`) || line.startsWith(`${name} `)
    );
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }
}

/** HAProxy with the configuration of deploy/, or with one that was made of it. */
export async function startProxy(
  replicas: readonly Replica[],
  of: { readonly config: string; readonly firstByte: string },
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const port = freePort();
  const path = await Deno.makeTempFile({ suffix: ".cfg" });
  await Deno.writeTextFile(path, of.config);
  const child = new Deno.Command("haproxy", {
    args: ["-f", path, "-db"],
    env: proxyEnv(`127.0.0.1:${port}`, replicas.map((each) => `127.0.0.1:${each.port}`), of),
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const url = `http://127.0.0.1:${port}`;
  await until(() => isReady(url), "HAProxy");
  return {
    url,
    stop: async () => {
      child.kill("SIGKILL");
      await child.status;
      await Deno.remove(path);
    },
  };
}

/** What deploy/haproxy.cfg reads from its environment. */
export function proxyEnv(
  bind: string,
  addresses: readonly string[],
  { firstByte }: { readonly firstByte: string },
): Record<string, string> {
  const named = addresses.map((address, i) => [`REPLICA_${i + 1}`, address]);
  return { GANGLION_BIND: bind, GANGLION_FIRST_BYTE: firstByte, ...Object.fromEntries(named) };
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(1000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

/** @throws {Error} when it is not so within 30 s. */
async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (await isSo()) return;
    await pause(50);
  }
  throw new Error(`${what} did not start within 30 s`);
}
