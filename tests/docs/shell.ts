/** A shell for the blocks of one document: a folder, `ganglion` on the PATH, a server. */
import { join } from "node:path";
import { readLaunch } from "../../packaging/launch.ts";
import { Log } from "../cli/server_process.ts";
import { freePort } from "../support/free_port.ts";
import { ROOT, type ShellBlock } from "./documents.ts";
import { ProgramHere } from "./program_here.ts";

const PORT_IN_DOCUMENTS = "11711";
/** A block that takes longer hangs. */
const BLOCK_MS_MAX = 60_000;

/** Servers that read no file of a document's: one is there for all that begin with it. */
const WITHOUT_FILES = /^(ganglion|npx -y deno@\S+ task) serve\n$/;

interface Server {
  readonly child: Deno.ChildProcess;
  readonly log: Log;
  readonly port: string;
  /** Where it was started. */
  readonly folder: string;
}

/** Servers that go on behind their documents, by their commands. */
const kept = new Map<string, Server>();

/** Ends the servers that go on behind their documents. */
export async function endKeptServers(): Promise<void> {
  for (const server of kept.values()) {
    await endServer(server);
    await Deno.remove(server.folder, { recursive: true });
  }
  kept.clear();
}

export class Shell implements AsyncDisposable {
  readonly #folder = Deno.makeTempDirSync({ prefix: "ganglion-docs-" });
  readonly #here: ProgramHere;
  /** Where nobody listens, until there is a server. */
  #port = String(freePort());
  #server: Server | null = null;

  constructor() {
    const { permissions, v8Flags } = readLaunch();
    const deno = Deno.execPath();
    const main = join(ROOT, "src/cli/main.ts");
    const run = ["run", "--no-check", "--config", join(ROOT, "deno.json"), ...permissions, main];
    Deno.mkdirSync(join(this.#folder, "bin"));
    this.#here = new ProgramHere({
      start: `DENO_V8_FLAGS=${v8Flags} "${deno}" ${quoted(run)}`,
      ...{ curl: which("curl")!, folder: join(this.#folder, "bin") },
    });
    this.#program("ganglion", this.#here.script);
    this.#program("deno", `exec "${deno}" "$@"`);
    // An answer that is an error is a failure of the command, which people see by its text.
    this.#program("curl", `exec "${which("curl")}" --fail-with-body "$@"`);
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
    await this.#leaveServer();
    await this.#here[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #serve(block: ShellBlock): Promise<void> {
    await this.#leaveServer();
    this.#server = kept.get(block.text) ?? await this.#begin(block);
    this.#port = this.#server.port;
  }

  /** Starts a server; one that needs no files in a folder that outlives the document's. */
  async #begin(block: ShellBlock): Promise<Server> {
    const isKept = WITHOUT_FILES.test(block.text);
    const folder = isKept ? Deno.makeTempDirSync({ prefix: "ganglion-docs-" }) : this.#folder;
    const port = this.#port = String(freePort());
    const child = this.#start(block, "null", folder);
    const server = { child, log: new Log(child.stderr), port, folder };
    if (isKept) kept.set(block.text, server);
    else this.#server = server;
    const hangs = setTimeout(() => endServer(server), BLOCK_MS_MAX);
    await server.log.match(new RegExp(`Serving .* at http://[\\d.]+:${port}`))
      .finally(() => clearTimeout(hangs));
    return server;
  }

  /** Ends the server, unless others will ask it. */
  async #leaveServer(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server !== null && server.folder === this.#folder) await endServer(server);
  }

  #start(
    { text, atRoot, isServer }: ShellBlock,
    stdout: "piped" | "null",
    folder = this.#folder,
  ): Deno.ChildProcess {
    return new Deno.Command("setsid", {
      args: ["sh", "-eu", "-c", text.replaceAll(PORT_IN_DOCUMENTS, this.#port)],
      cwd: atRoot ? ROOT : folder,
      env: {
        PATH: `${join(this.#folder, "bin")}:${Deno.env.get("PATH")}`,
        GANGLION_PORT: this.#port,
        GANGLION_THREADS: "1", // to start a second one takes longer than what it computes
        XDG_CONFIG_HOME: folder,
        NO_COLOR: "1",
      },
      stdin: "null",
      stdout,
      stderr: "piped",
      // A server is ended by who started it.
      ...(isServer ? {} : { signal: AbortSignal.timeout(BLOCK_MS_MAX) }),
    }).spawn();
  }

  #program(name: string, line: string): void {
    const path = join(this.#folder, "bin", name);
    Deno.writeTextFileSync(path, `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  }
}

/** Ends a server: the shell and what it started are one group. */
async function endServer({ child, log }: Server): Promise<void> {
  new Deno.Command("kill", { args: ["-TERM", "--", `-${child.pid}`] }).outputSync();
  await Promise.all([child.status, log.ended]);
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
