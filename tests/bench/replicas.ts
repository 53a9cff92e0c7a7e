/**
 * Three replicas with the built-in model behind HAProxy, as deploy/haproxy.cfg has it: do
 * conversations keep their replica, what is lost when one is killed or stands still, does a rolling
 * restart fail anything, what does the proxy cost. `deno task test:replicas`; exits with 1 when a
 * promise is broken. Needs haproxy.
 */
import { pause } from "../../src/base/pause.ts";
import { freePort } from "../support/free_port.ts";
import { Rng } from "../support/rng.ts";
import { Replica, startProxy } from "./replica_processes.ts";

const CONVERSATIONS = 13;
const TURNS = 4;
const BLOCK = 32;
const CLIENTS = 6;

interface Answer {
  readonly text: string;
  readonly promptTokens: number;
  readonly cachedTokens: number;
}

interface Message {
  readonly role: string;
  readonly content: string;
}

/** How requests fared that were sent without a pause. */
interface LoadReport {
  whole: number;
  /** Nothing of an answer had come. */
  lost: string[];
  /** An answer had begun. */
  broken: number;
}

async function main(): Promise<boolean> {
  const replicas = [freePort(), freePort(), freePort()].map((port) => new Replica(port));
  try {
    await Promise.all(replicas.map((replica) => replica.start()));
    const config = await Deno.readTextFile(new URL("../../deploy/haproxy.cfg", import.meta.url));
    const checks = [
      ...await affinity(replicas, config),
      await overhead(replicas, config),
      ...await faults(replicas, config),
      await rollingRestart(replicas, config),
    ];
    return checks.every((each) => each);
  } finally {
    await Promise.all(replicas.map((replica) => replica.stop()));
  }
}

/** Says it, and whether it is as promised. */
function told(isKept: boolean, text: string): boolean {
  console.log(`${isKept ? "ok    " : "BROKEN"} ${text}`);
  return isKept;
}

async function affinity(replicas: readonly Replica[], config: string): Promise<boolean[]> {
  const byKey = await hitShare(replicas, config, "key");
  const inTurn = config.replace(/balance hash .*/, "balance roundrobin")
    .replace(/hash-type.*|hash-balance.*/g, "");
  const byTurn = await hitShare(replicas, inTurn, "turn");
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
  return [
    told(byKey >= 0.95, `prefix hits by key: ${percent(byKey)} (at least 95 %)`),
    told(byTurn <= 0.4, `prefix hits in turn: ${percent(byTurn)} (at most 40 %)`),
  ];
}

/** Of later turns, the share that found the turn before in the replica's cache. */
async function hitShare(
  replicas: readonly Replica[],
  config: string,
  name: string,
): Promise<number> {
  const proxy = await startProxy(replicas, { config, firstByte: "60s" });
  const rng = new Rng(7);
  const talks = Array.from({ length: CONVERSATIONS }, (_, index) => ({
    key: `${name}-${index}`,
    messages: [] as Message[],
    /** Whole blocks of the prompt before. */
    expected: 0,
  }));
  let hits = 0;
  try {
    for (let turn = 0; turn < TURNS; turn++) {
      const order = talks.map((talk) => ({ talk, place: rng.float() }))
        .sort((a, b) => a.place - b.place);
      for (const { talk } of order) {
        talk.messages.push({ role: "user", content: question(talk.key, turn) });
        const answer = await ask(proxy.url, talk.key, talk.messages);
        if (turn > 0 && answer.cachedTokens >= talk.expected) hits++;
        talk.expected = answer.promptTokens - answer.promptTokens % BLOCK - BLOCK;
        talk.messages.push({ role: "assistant", content: answer.text });
      }
    }
  } finally {
    await proxy.stop();
  }
  return hits / (CONVERSATIONS * (TURNS - 1));
}

/** Some forty tokens that no other conversation and no other turn has. */
function question(key: string, turn: number): string {
  return `In talk ${key} I say for the ${turn}th time: ` +
    Array.from({ length: 8 }, (_, i) => `${key} ${turn * 31 + i * 7}`).join(", ") + "?";
}

async function ask(url: string, key: string, messages: readonly Message[]): Promise<Answer> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-prefix-key": key },
    body: JSON.stringify({ messages, max_tokens: 8, temperature: 0 }),
  });
  const body = await response.json();
  if (!response.ok) throw new Error(`${response.status}: ${JSON.stringify(body)}`);
  return {
    text: body.choices[0].message.content,
    promptTokens: body.usage.prompt_tokens,
    cachedTokens: body.usage.prompt_tokens_details?.cached_tokens ?? 0,
  };
}

/** The same request to a replica and through the proxy, in turns. */
async function overhead(replicas: readonly Replica[], config: string): Promise<boolean> {
  const proxy = await startProxy(replicas.slice(0, 1).concat(replicas.slice(0, 2)), {
    config,
    firstByte: "60s",
  });
  const times: [number[], number[]] = [[], []];
  const body = JSON.stringify({ content: "Hello there" });
  try {
    for (let i = 0; i < 400; i++) {
      const startMs = performance.now();
      const url = i % 2 === 0 ? replicas[0].url : proxy.url;
      const response = await fetch(`${url}/tokenize`, {
        method: "POST",
        headers: { "x-prefix-key": "k" },
        body,
      });
      await response.text();
      if (i >= 40) times[i % 2].push(performance.now() - startMs);
    }
  } finally {
    await proxy.stop();
  }
  const at = (ms: number[], share: number) =>
    ms.sort((a, b) => a - b)[Math.floor(share * (ms.length - 1))];
  const [direct, through] = times.map((ms) => [at(ms, 0.5), at(ms, 0.99)]);
  const ms = (values: number[]) => `p50 ${values[0].toFixed(2)} p99 ${values[1].toFixed(2)} ms`;
  return told(true, `a request without work, direct ${ms(direct)}, by the proxy ${ms(through)}`);
}

/** One replica is killed, another one stands still for a while. */
async function faults(replicas: readonly Replica[], config: string): Promise<boolean[]> {
  const [killed, still] = replicas;
  const proxy = await startProxy(replicas, { config, firstByte: "4s" });
  try {
    const load = startLoad(proxy.url);
    await pause(2000);
    killed.signal("SIGKILL");
    await killed.ended();
    await pause(3000);
    still.signal("SIGSTOP");
    await pause(6000);
    still.signal("SIGCONT");
    await pause(3000);
    const before = await still.metric("ganglion_generations_total");
    await killed.start();
    await pause(5000);
    const after = await still.metric("ganglion_generations_total");
    const restarted = await killed.metric("ganglion_generations_total");
    const { whole, lost, broken } = await load.end();
    return [
      told(
        lost.length === 0,
        `a kill -9 and a SIGSTOP: ${whole} whole answers, ${broken} broken off, ` +
          `${lost.length} lost without a byte (0) ${lost.slice(0, 3).join("; ")}`,
      ),
      told(after > before, `the one that stood still has ${after - before} answers since`),
      told(restarted > 0, `the one that was started again has ${restarted} answers`),
    ];
  } finally {
    await proxy.stop();
  }
}

/** All replicas are started anew, one after the other, each when the one before is back. */
async function rollingRestart(replicas: readonly Replica[], config: string): Promise<boolean> {
  const proxy = await startProxy(replicas, { config, firstByte: "20s" });
  try {
    const load = startLoad(proxy.url);
    await pause(1000);
    for (const replica of replicas) {
      replica.signal("SIGTERM");
      await replica.ended();
      await replica.start();
      await pause(2000);
    }
    const { whole, lost, broken } = await load.end();
    return told(
      lost.length + broken === 0,
      `a rolling restart: ${whole} whole answers, ${lost.length + broken} failed (0) ` +
        lost.slice(0, 3).join("; "),
    );
  } finally {
    await proxy.stop();
  }
}

/** Clients that ask, one question after another, streamed and not. */
function startLoad(url: string): { end(): Promise<LoadReport> } {
  const report: LoadReport = { whole: 0, lost: [], broken: 0 };
  let isEnding = false;
  const client = async (index: number) => {
    for (let count = 0; !isEnding; count++) {
      await askOnce(url, { key: `client-${index}-${count % 3}`, stream: count % 2 === 0 }, report);
    }
  };
  const clients = Promise.all(Array.from({ length: CLIENTS }, (_, index) => client(index)));
  return {
    end: async () => {
      isEnding = true;
      await clients;
      return report;
    },
  };
}

async function askOnce(
  url: string,
  { key, stream }: { readonly key: string; readonly stream: boolean },
  report: LoadReport,
): Promise<void> {
  let response: Response;
  try {
    response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-prefix-key": key },
      body: JSON.stringify({
        stream,
        max_tokens: 24,
        messages: [{ role: "user", content: `Tell me a story, ${key}.` }],
      }),
    });
  } catch (error) {
    report.lost.push(String(error));
    return;
  }
  try {
    const text = await response.text();
    if (!response.ok) report.lost.push(`${response.status} ${text.slice(0, 100)}`);
    else if (stream && !text.endsWith("data: [DONE]\n\n")) report.broken++;
    else report.whole++;
  } catch {
    report.broken++;
  }
}

if (import.meta.main) Deno.exit(await main() ? 0 : 1);
