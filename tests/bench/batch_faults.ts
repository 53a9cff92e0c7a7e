/** Batches whose servers are killed: what is hurt, when, and what is checked of what comes out. */
import { pause } from "../../src/base/pause.ts";
import type { BatchCard, BatchCluster, BatchLine, OutputLine } from "./batch_cluster.ts";

/** Answers are the same whoever gives them, so that few of them are asked for beforehand. */
export const PROMPT_COUNT = 20;
export const ENDPOINT = "/v1/chat/completions";

export interface FaultPlan {
  readonly jobCount: number;
  readonly maxTokens: number;
  /** Whether the next server in turn is to be killed. */
  readonly isKillDue: (course: Course) => boolean;
  /** Whether the NATS server is to be killed, once. */
  readonly isQueueKillDue: (course: Course) => boolean;
}

/** How far a batch is. */
export interface Course {
  readonly elapsedMs: number;
  /** Jobs that have results. */
  readonly doneCount: number;
  /** Servers that were killed. */
  readonly kills: number;
}

export interface FaultReport {
  readonly seconds: number;
  readonly kills: number;
  readonly queueKills: number;
  readonly card: BatchCard;
  /** Codes of errors that jobs have for results. */
  readonly errors: readonly string[];
  readonly lost: number;
  readonly doubled: number;
  readonly isInOrder: boolean;
  /** Of the bodies' choices, in the order of the file. */
  readonly hash: string;
  /** The same of answers to requests that were sent directly. */
  readonly directHash: string;
}

/** Whether every job has exactly one result, in its place, and the one that it should have. */
export function isWhole({ card, errors, ...report }: FaultReport) {
  const { lost, doubled, isInOrder, hash, directHash } = report;
  return card.status === "completed" && errors.length === 0 && lost === 0 && doubled === 0 &&
    isInOrder &&
    hash === directHash;
}

/** Runs a batch while servers die. */
export async function runWithFaults(cluster: BatchCluster, plan: FaultPlan): Promise<FaultReport> {
  const lines = Array.from({ length: plan.jobCount }, (_, index): BatchLine => ({
    custom_id: `job-${index}`,
    body: body(index, plan.maxTokens),
  }));
  const direct = await directChoices(cluster, plan);
  const startMs = performance.now();
  const id = await cluster.submit(ENDPOINT, lines);
  const stop = new AbortController();
  const counts = { kills: 0, queueKills: 0 };
  let doneCount = 0;
  const course = (): Course => ({
    ...{ elapsedMs: performance.now() - startMs, doneCount, kills: counts.kills },
  });
  const hurting = Promise.all([
    killServers(cluster, {
      signal: stop.signal,
      isDue: () => plan.isKillDue(course()),
      onKill: () => counts.kills++,
    }),
    killQueue(cluster, {
      signal: stop.signal,
      isDue: () => plan.isQueueKillDue(course()),
      onKill: () => counts.queueKills++,
    }),
  ]);
  // Heard of below, when the batch has ended.
  hurting.catch(() => {});
  try {
    const card = await cluster.ended(id, (done) => doneCount = done);
    const seconds = (performance.now() - startMs) / 1000;
    stop.abort();
    await hurting;
    const output = await cluster.lines(card.output_file_id);
    const errors = (await cluster.lines(card.error_file_id)).map(({ error }) => error?.code ?? "");
    return { seconds, ...counts, card, errors, ...await checked(lines, output, direct) };
  } finally {
    stop.abort();
    await hurting.catch(() => {});
  }
}

function body(index: number, maxTokens: number) {
  const content = `Tell me a story about number ${index % PROMPT_COUNT}.`;
  return {
    model: "built-in",
    messages: [{ role: "user", content }],
    max_tokens: maxTokens,
    temperature: 0,
  };
}

/** The choices of the answers to each prompt. */
async function directChoices(cluster: BatchCluster, { maxTokens }: FaultPlan): Promise<unknown[]> {
  const choices = [];
  for (let index = 0; index < PROMPT_COUNT; index++) {
    const answer = await cluster.askJson<{ choices: unknown }>(ENDPOINT, body(index, maxTokens));
    choices.push(answer.choices);
  }
  return choices;
}

interface Hurting {
  readonly signal: AbortSignal;
  readonly isDue: () => boolean;
  readonly onKill: () => void;
}

/** How often it is looked whether one is due. */
const LOOK_MS = 50;

async function killServers({ replicas }: BatchCluster, hurting: Hurting): Promise<void> {
  for (let turn = 0; await untilDue(hurting); turn++) {
    const replica = replicas[turn % replicas.length];
    replica.signal("SIGKILL");
    await replica.ended();
    hurting.onKill();
    await replica.start();
  }
}

async function killQueue({ nats }: BatchCluster, hurting: Hurting): Promise<void> {
  if (nats === null || !await untilDue(hurting)) return;
  await nats.kill();
  hurting.onKill();
  await pause(1500);
  await nats.start();
}

/** False when the batch has ended before. */
async function untilDue({ signal, isDue }: Hurting): Promise<boolean> {
  while (!signal.aborted && !isDue()) await pause(LOOK_MS);
  return !signal.aborted;
}

async function checked(
  lines: readonly BatchLine[],
  output: readonly OutputLine[],
  direct: readonly unknown[],
) {
  const ids = output.map(({ custom_id: id }) => id);
  const found = new Set(ids);
  return {
    lost: lines.filter(({ custom_id: id }) => !found.has(id)).length,
    doubled: ids.length - found.size,
    isInOrder: ids.every((id, index) => id === lines[index]?.custom_id),
    hash: await hashOf(output.map(({ response }) => response.body.choices)),
    directHash: await hashOf(lines.map((_, index) => direct[index % PROMPT_COUNT])),
  };
}

async function hashOf(values: readonly unknown[]): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(values));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
