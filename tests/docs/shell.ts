/** A shell for the blocks of one document: a folder, `ganglion` on the PATH, a server. */
import { join } from "node:path";
import { readLaunch } from "../../packaging/launch.ts";
import { Log } from "../cli/server_process.ts";
import { ROOT, type ShellBlock } from "./documents.ts";

const PORT_IN_DOCUMENTS = "11711";
/** A block that takes longer hangs. */
const BLOCK_MS_MAX = 60_000;

export class Shell implements AsyncDisposable {
  readonly #folder = Deno.makeTempDirSync({ prefix: "ganglion-docs-" });
  readonly #port = String(freePort());
  #server: { readonly child: Deno.ChildProcess; readonly log: Log } | null = null;

  constructor() {
    const { permissions, v8Flags } = readLaunch();
    const deno = Deno.execPath();
    const main = join(ROOT, "src/cli/main.ts");
    const run = ["run", "--no-check", "--config", join(ROOT, "deno.json"), ...permissions, main];
    Deno.mkdirSync(join(this.#folder, "bin"));
    this.#program("ganglion", `DENO_V8_FLAGS=${v8Flags} exec "${deno}" ${quoted(run)} "$@"`);
    this.#program("deno", `exec "${deno}" "$@"`);
    // An answer that is an error is a failure of the command, which people see by its text.
    const curl = which("curl");
    if (curl !== null) this.#program("curl", `exec "${curl}" --fail-with-body "$@"`);
    // `npx -y deno@VERSION ARGUMENTS`: the Deno that runs the tests is that one.
    this.#program(
      "npx",
      `[ "$1 $2" = "-y deno@${Deno.version.deno}" ] && shift 2 && exec deno "$@"`,
    );
    Deno.copyFileSync(join(ROOT, "builtin/model.gguf"), join(this.#folder, "model.gguf"));
    Deno.writeTextFileSync(join(this.#folder, "text.txt"), "A fox ran over the hill. ".repeat(80));
  }

  /** Runs a block to its end, or starts its server in the place of an earlier one. */
  async run(block: ShellBlock): Promise<void> {
    if (block.isServer) return await this.#serve(block);
    const begin = performance.now();
    const { success, stdout, stderr } = await this.#start(block, "piped").output();
    if (Deno.env.has("DOCS_TIMES")) {
      console.log(Math.round(performance.now() - begin), block.text.trim());
    }
    if (success) return;
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    throw new Error(`The block in line ${block.line} failed:\n${block.text}\n${said}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stopServer();
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #serve(block: ShellBlock): Promise<void> {
    await this.#stopServer();
    const child = this.#start(block, "null");
    const log = new Log(child.stderr);
    this.#server = { child, log };
    await log.match(new RegExp(`Serving .* at http://[\\d.]+:${this.#port}`));
  }

  async #stopServer(): Promise<void> {
    if (this.#server === null) return;
    const { child, log } = this.#server;
    this.#server = null;
    // The shell and what it started are one group.
    new Deno.Command("kill", { args: ["-TERM", "--", `-${child.pid}`] }).outputSync();
    await Promise.all([child.status, log.ended]);
  }

  #start({ text, atRoot }: ShellBlock, stdout: "piped" | "null"): Deno.ChildProcess {
    return new Deno.Command("setsid", {
      args: ["sh", "-eu", "-c", text.replaceAll(PORT_IN_DOCUMENTS, this.#port)],
      cwd: atRoot ? ROOT : this.#folder,
      env: {
        PATH: `${join(this.#folder, "bin")}:${Deno.env.get("PATH")}`,
        GANGLION_PORT: this.#port,
        XDG_CONFIG_HOME: this.#folder,
        NO_COLOR: "1",
      },
      stdin: "null",
      stdout,
      stderr: "piped",
      signal: AbortSignal.timeout(BLOCK_MS_MAX),
    }).spawn();
  }

  #program(name: string, line: string): void {
    const path = join(this.#folder, "bin", name);
    Deno.writeTextFileSync(path, `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  }
}

function quoted(args: readonly string[]): string {
  return args.map((arg) => `"${arg}"`).join(" ");
}

/** Where a program lies; null: nowhere on the PATH. */
export function which(name: string): string | null {
  const { success, stdout } = new Deno.Command("sh", { args: ["-c", `command -v ${name}`] })
    .outputSync();
  return success ? new TextDecoder().decode(stdout).trim() : null;
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
