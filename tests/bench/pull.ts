/**
 * A large file pulled by processes that are killed again and again, from a server that cuts
 * connections: `deno task bench:pull [MB] [KILLS]` (default 2000 20). Exits with 1 unless the file
 * ends byte-identical. Says what the interruptions cost, and how fast an undisturbed pull is.
 */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { encodeGguf } from "../../src/gguf/mod.ts";
import { formatBytes } from "../../src/base/units.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
/** Not a multiple of anything that files are cut into: a piece in a wrong place shows. */
const PERIOD = 1_048_583;
const CHUNK = 256 << 10;
/** Of requests that break off in the middle. */
const CUT_SHARE = 0.1;

/** A model of one tensor whose bytes repeat, without taking memory. */
class LargeModel {
  readonly sizeBytes: number;
  readonly #head: Uint8Array;
  readonly #noise: Uint8Array;

  constructor(bytes: number) {
    const rows = Math.ceil(bytes / 4096);
    const spec = { name: "x", type: "F32", dims: [1024, 1], pieces: () => [new Uint8Array(4096)] };
    const whole = encodeGguf({ metadata: [], tensors: [spec] });
    this.#head = whole.slice(0, whole.length - 4096);
    // One row becomes many: the second of its sizes lies behind the first.
    const view = new DataView(this.#head.buffer);
    const at = this.#head.length > 0 ? indexOfDims(view) : 0;
    view.setBigUint64(at, BigInt(rows), true);
    this.sizeBytes = this.#head.length + rows * 4096;
    const noise = new Uint8Array(PERIOD + CHUNK);
    for (let i = 0; i < PERIOD; i += 65_536) {
      crypto.getRandomValues(noise.subarray(i, Math.min(PERIOD, i + 65_536)));
    }
    noise.copyWithin(PERIOD, 0, CHUNK);
    this.#noise = noise;
  }

  /** Bytes from `first` on, at most a chunk. */
  read(first: number, most: number): Uint8Array<ArrayBuffer> {
    if (first < this.#head.length) return this.#head.slice(first, first + most);
    const at = first % PERIOD;
    const end = Math.min(this.sizeBytes, first + Math.min(most, CHUNK));
    return this.#noise.subarray(at, at + end - first) as Uint8Array<ArrayBuffer>;
  }

  sha256(): string {
    const hash = createHash("sha256");
    for (let at = 0; at < this.sizeBytes;) {
      const bytes = this.read(at, CHUNK);
      hash.update(bytes);
      at += bytes.length;
    }
    return hash.digest("hex");
  }
}

/** Where the number of rows stands: behind the only size of 1,024. */
function indexOfDims(view: DataView): number {
  for (let at = 0; at + 16 <= view.byteLength; at++) {
    if (view.getBigUint64(at, true) === 1024n && view.getBigUint64(at + 8, true) === 1n) {
      return at + 8;
    }
  }
  throw new Error("Check failed: the header has no sizes");
}

/** Serves the model; `sent` counts. */
class Source implements AsyncDisposable {
  readonly #model: LargeModel;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  cutShare = 0;
  sent = 0;

  constructor(model: LargeModel) {
    this.#model = model;
    const quiet = { hostname: "127.0.0.1", port: 0, onListen() {}, onError: () => new Response() };
    this.#server = Deno.serve(quiet, (request) => this.#answer(request));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/large.gguf`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  #answer(request: Request): Response {
    const { sizeBytes } = this.#model;
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "") ??
      ["", "0", `${sizeBytes - 1}`];
    const last = Math.min(sizeBytes - 1, Number(to));
    let at = Number(from);
    const isCut = Math.random() < this.cutShare;
    const end = isCut ? at + Math.floor(Math.random() * (last + 1 - at)) : last + 1;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        if (at >= end) return isCut ? controller.error(new Error("cut")) : controller.close();
        const bytes = this.#model.read(at, Math.min(CHUNK, end - at));
        at += bytes.length;
        this.sent += bytes.length;
        controller.enqueue(bytes);
      },
    });
    return new Response(body, {
      status: 206,
      headers: {
        "content-range": `bytes ${from}-${last}/${sizeBytes}`,
        "content-length": `${last + 1 - Number(from)}`,
        etag: '"large"',
      },
    });
  }
}

function startPull(url: string, folder: string, ...flags: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "-A", MAIN, "pull", url, "--models-dir", folder, ...flags],
    ...{ stdin: "null", stdout: "null", stderr: "piped" },
  }).spawn();
}

async function finish(child: Deno.ChildProcess): Promise<void> {
  const { code, stderr } = await child.output();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
}

/** Kills a pull as often as that, each time after a random number of bytes; then lets it end. */
async function pullKilled(source: Source, folder: string, kills: number, bytes: number) {
  for (let kill = 0; kill < kills; kill++) {
    const child = startPull(source.url, folder);
    const enough = source.sent + Math.random() * 2 * bytes / (kills + 1);
    let hasEnded = false;
    child.status.then(() => hasEnded = true);
    while (source.sent < enough && !hasEnded) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    if (!hasEnded) child.kill("SIGKILL");
    await child.output();
  }
  await finish(startPull(source.url, folder));
}

async function fileSha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  const buffer = new Uint8Array(4 << 20);
  for (let count = await file.read(buffer); count !== null; count = await file.read(buffer)) {
    hash.update(buffer.subarray(0, count));
  }
  return hash.digest("hex");
}

async function main([megabytes = "2000", times = "20"]: string[]): Promise<void> {
  const model = new LargeModel(Number(megabytes) * 1e6);
  const kills = Number(times);
  const sum = model.sha256();
  const folder = await Deno.makeTempDir();
  await using source = new Source(model);
  try {
    for (const connections of ["1", "4"]) {
      const startMs = performance.now();
      await finish(startPull(source.url, folder, "--connections", connections, "--sha256", sum));
      const ms = performance.now() - startMs;
      const rate = formatBytes(Math.round(model.sizeBytes / ms * 1000));
      console.log(`undisturbed, ${connections} at once: ${(ms / 1000).toFixed(1)} s, ${rate}/s`);
      await Deno.remove(`${folder}/large.gguf`);
      await Deno.remove(`${folder}/large.source.json`);
    }
    source.sent = 0;
    source.cutShare = CUT_SHARE;
    const startMs = performance.now();
    await pullKilled(source, folder, kills, model.sizeBytes);
    const isSame = await fileSha256(`${folder}/large.gguf`) === sum;
    const extra = source.sent / model.sizeBytes - 1;
    console.log(
      `killed ${kills} times, ${CUT_SHARE * 100} % of the requests cut: ` +
        `${((performance.now() - startMs) / 1000).toFixed(1)} s, ${(extra * 100).toFixed(1)} % ` +
        `sent in vain, ${isSame ? "byte-identical" : "DIFFERENT"}`,
    );
    if (!isSame) Deno.exitCode = 1;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) await main(Deno.args);
