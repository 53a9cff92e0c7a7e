/**
 * A nats-server with JetStream on a free port of this machine and with a folder of its own:
 * started, killed, started again with what it has kept. Knows nothing of what is kept there.
 */
import { existsSync } from "node:fs";
import { freePort } from "./free_port.ts";

/** Debian's `nats-server`. */
const NATS_SERVER = "/usr/sbin/nats-server";
const START_MS_MAX = 20_000;

/** Null: nats-server is here; else why a test that needs it skips. */
export const natsMissing: string | null = existsSync(NATS_SERVER)
  ? null
  : `no ${NATS_SERVER}: apt-get install nats-server`;

/** A test that needs a nats-server, which it gets fresh. */
export function natsTest(name: string, run: (server: NatsServer) => Promise<void>): void {
  Deno.test({
    name: natsMissing === null ? name : `${name} [skipped: ${natsMissing}]`,
    ignore: natsMissing !== null,
    fn: async () => {
      await using server = await NatsServer.create();
      await run(server);
    },
  });
}

/** One server, on a port that stays its own however often it is started. */
export class NatsServer {
  /** With a name and a password, which it asks for. */
  readonly url: string;
  readonly #port: number;
  readonly #folder: string;
  #child: Deno.ChildProcess | null = null;

  private constructor(port: number, folder: string) {
    this.url = `nats://ganglion:secret@127.0.0.1:${port}`;
    this.#port = port;
    this.#folder = folder;
  }

  /** Starts one with an empty folder. */
  static async create(): Promise<NatsServer> {
    const folder = await Deno.makeTempDir({ prefix: "ganglion-nats-" });
    const server = new NatsServer(freePort(), folder);
    await server.start();
    return server;
  }

  /** @throws {Error} when it does not take connections in time. */
  async start(): Promise<void> {
    this.#child = new Deno.Command(NATS_SERVER, {
      args: [
        ...["-a", "127.0.0.1", "-p", String(this.#port), "-js", "-sd", this.#folder],
        ...["--user", "ganglion", "--pass", "secret"],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const deadlineMs = Date.now() + START_MS_MAX;
    while (!await this.#isListening()) {
      if (Date.now() > deadlineMs) throw new Error("nats-server does not listen");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** kill -9: nothing is flushed, nobody is told. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    child?.kill("SIGKILL");
    await child?.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #isListening(): Promise<boolean> {
    try {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: this.#port });
      connection.close();
      return true;
    } catch {
      return false;
    }
  }
}
