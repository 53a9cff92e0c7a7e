/**
 * What clients see of two servers with one model, in turns: `serve` and llama.cpp's `llama-server`,
 * which whoever wants to compare has built. Each round starts both anew.
 *
 *   deno task bench:served MODEL [--llama-server PATH] [--threads 2] [--rounds 3]
 *     [--streams 1,2,4,8] [--answer-tokens 64] [--prompt-words 700] [--context 8192]
 *
 * A line a server and round, with a hash of its answers; then medians, and ratios of each round.
 */
import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { pause } from "../../src/base/pause.ts";
import { formatSpread, spreadOf } from "../../src/cli/spread.ts";
import { readLaunch } from "../../packaging/launch.ts";
import { freePort } from "../support/free_port.ts";
import { askAll, isLessBetter, type ServedLoad } from "./served_cases.ts";
import { tableAsText } from "./table.ts";

interface ServerSettings {
  readonly model: string;
  readonly threads: number;
  readonly parallel: number;
  /** Tokens that each request may have. */
  readonly context: number;
}

interface Server {
  readonly name: string;
  readonly command: (settings: ServerSettings, port: number) => Deno.Command;
}

/** One round of a server. */
interface Round {
  readonly figures: ReadonlyMap<string, number>;
  readonly hash: string;
}

const READY_MS_MAX = 120_000;
const QUIET = { stdin: "null", stdout: "null" } as const;

async function main(): Promise<void> {
  const { values, positionals: [model] } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      "llama-server": { type: "string" },
      threads: { type: "string", default: "2" },
      rounds: { type: "string", default: "3" },
      streams: { type: "string", default: "1,2,4,8" },
      "answer-tokens": { type: "string", default: "64" },
      "prompt-words": { type: "string", default: "700" },
      context: { type: "string", default: "8192" },
    },
  });
  if (model === undefined) throw new Error("Which MODEL? The path of a GGUF file is missing");
  const load: ServedLoad = {
    streams: values.streams.split(",").map(Number),
    answerTokens: Number(values["answer-tokens"]),
    promptWords: Number(values["prompt-words"]),
  };
  const settings = {
    ...{ model, threads: Number(values.threads), context: Number(values.context) },
    parallel: Math.max(3, ...load.streams),
  };
  const peer = values["llama-server"];
  const servers = [ganglion(), ...peer === undefined ? [] : [llamaServer(peer)]];
  const rounds = new Map(servers.map(({ name }) => [name, [] as Round[]]));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
      const measured = await measure(server, settings, load);
      rounds.get(server.name)!.push(measured);
      const figures = [...measured.figures].map(([name, value]) => `${name}: ${format(value)}`);
      console.log(`${server.name}, ${figures.join("; ")}; answers ${measured.hash}`);
    }
  }
  console.log(tableAsText(report(rounds)));
}

/** This clone's, as `deno task serve` starts it, with guesses off: both compute each token. */
function ganglion(): Server {
  const { v8Flags, permissions } = readLaunch();
  return {
    name: "ganglion",
    command: ({ model, threads, parallel, context }, port) =>
      new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", ...permissions, "src/cli/main.ts", "serve", model, "--port", `${port}`],
          ...["--threads", `${threads}`, "--parallel", `${parallel}`, "--ctx-size", `${context}`],
          ...["--max-waiting", `${parallel}`, "--speculate", "off", "--log-level", "error"],
        ],
        env: { DENO_V8_FLAGS: v8Flags },
        ...QUIET,
      }),
  };
}

function llamaServer(path: string): Server {
  return {
    name: "llama-server",
    command: ({ model, threads, parallel, context }, port) =>
      new Deno.Command(path, {
        args: [
          ...["-m", model, "--port", `${port}`, "-t", `${threads}`, "-np", `${parallel}`],
          ...["-c", `${context * parallel}`, "-fa", "on", "--no-webui"],
        ],
        ...QUIET,
        stderr: "null",
      }),
  };
}

/** Starts it, asks all that is asked, ends it. */
async function measure(
  { name, command }: Server,
  settings: ServerSettings,
  load: ServedLoad,
): Promise<Round> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const startMs = performance.now();
  const process = command(settings, port).spawn();
  let hasEnded = false;
  const ended = process.status.then(({ code }) => {
    hasEnded = true;
    throw new Error(`${name} ended with ${code} before it had answered`);
  });
  try {
    await Promise.race([untilReady(url, () => hasEnded), ended]);
    const readyMs = performance.now() - startMs;
    const { figures, texts } = await Promise.race([askAll(url, load), ended]);
    const residentBytes = await readResidentBytes(process.pid);
    const hash = createHash("sha256").update(texts.join("\n")).digest("hex").slice(0, 12);
    return {
      figures: new Map([
        ["ready after, ms", readyMs],
        ...figures,
        ["resident, MB", residentBytes / 1e6],
      ]),
      hash,
    };
  } finally {
    if (!hasEnded) process.kill("SIGKILL");
    await ended.catch(() => {});
  }
}

async function untilReady(url: string, isOver: () => boolean): Promise<void> {
  const startMs = performance.now();
  while (!isOver() && performance.now() - startMs < READY_MS_MAX) {
    const response = await fetch(`${url}/health`).catch(() => null);
    await response?.body?.cancel();
    if (response?.status === 200) return;
    await pause(50);
  }
  throw new Error(`${url} was not ready within ${READY_MS_MAX / 1000} s`);
}

async function readResidentBytes(processId: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${processId}/status`);
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

const format = (value: number) => value.toFixed(value < 100 ? 1 : 0);

/** Rows of figures, a column a server, and how many times better the first is. */
function report(servers: ReadonlyMap<string, readonly Round[]>) {
  const [ours, theirs] = [...servers.values()];
  const valuesOf = (rounds: readonly Round[], figure: string) =>
    rounds.map(({ figures }) => figures.get(figure)!);
  const rows = [...ours[0].figures.keys()].map((figure) => {
    const cells = [...servers.values()].map((rounds) => {
      const values = spreadOf(valuesOf(rounds, figure));
      return formatSpread(values, values.median < 100 ? 1 : 0);
    });
    if (theirs === undefined) return [figure, ...cells];
    const others = valuesOf(theirs, figure);
    const ratios = valuesOf(ours, figure).map((value, i) =>
      isLessBetter(figure) ? others[i] / value : value / others[i]
    );
    return [figure, ...cells, formatSpread(spreadOf(ratios), 2)];
  });
  const hashes = [...servers].map(([name, rounds]) =>
    `${name} ${[...new Set(rounds.map(({ hash }) => hash))].join(", ")}`
  );
  return {
    title: `Answers: ${hashes.join("; ")}`,
    head: ["", ...servers.keys(), ...theirs === undefined ? [] : ["times better"]],
    rows,
  };
}

if (import.meta.main) await main();
