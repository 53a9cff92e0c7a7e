/**
 * Works on batches in a server: its jobs are answered by the very handlers that answer live
 * requests, behind them all.
 */
import { Hono } from "hono";
import { RequestError } from "../../base/errors.ts";
import { BatchKeeper, JobRunner, type RunOutcome, type TakenJob } from "../../batch/mod.ts";
import { requestIds, type ServerEnv } from "../guards.ts";
import { onAppError } from "../http_errors.ts";
import { BACKGROUND_PRIORITY } from "../openai/answer_fields.ts";
import type { AppSettings } from "../options.ts";
import { API_ROUTES } from "../routes.ts";
import { loadedModel } from "../telemetry/server_metrics.ts";
import { BATCH_ENDPOINTS } from "./batches.ts";

/** Tries of a job whose answer says that the server failed. */
const ATTEMPTS_MAX = 3;
const RETRY_MS = 1000;
const LEASE_MS = 10_000;
/** A keeper's steps are longer than a job's beats. */
const CLAIM_LEASES = 3;
/** Beats of a job within a lease: with each it hears whether its batch was ended. */
const BEATS = 5;

/** Batches that are worked on. */
export interface RunningBatches {
  /** Resolves when nothing is worked on any more. */
  readonly ended: Promise<void>;
}

/**
 * Works on batches until the server drains: then jobs that run go back to where others find them.
 * Null where there are none.
 */
export function runBatches(settings: AppSettings): RunningBatches | null {
  const { batches, lifecycle, admission, models, log, metrics } = settings;
  if (batches === null) return null;
  const { store, concurrency, leaseMs = LEASE_MS } = batches;
  const app = createJobApp(settings);
  const onError = (error: unknown) => {
    // A store that is out of reach says so itself, once.
    const isAway = error instanceof RequestError && error.status === 503;
    if (isAway) log.debug("batches", { error: error.message });
    else log.error("batches", error);
  };
  const keeper = new BatchKeeper({
    ...{ store, lineBytesMax: settings.bodyBytesMax, onError, claimMs: CLAIM_LEASES * leaseMs },
  });
  const runner = new JobRunner({
    ...{ store, concurrency, onError, beatMs: leaseMs / BEATS },
    isBusy: () => admission.atWork > 0 || models.state === "loading",
    isInTheWay: () =>
      admission.atWork > 0 &&
      models.list().some((card) => (loadedModel(card)?.load.waiting ?? 0) > 0),
    run: async (job, signal) => {
      const startMs = performance.now();
      const outcome = await runJob(app, job, signal);
      const word = !("result" in outcome) ? "given_back" : isGood(outcome) ? "completed" : "failed";
      metrics.batchJob(word);
      const { batchId: batch, index, attempt } = job;
      const ms = Math.round(performance.now() - startMs);
      log.debug("batch job", { batch, index, attempt, outcome: word, ms });
      return outcome;
    },
  });
  const ended = Promise.withResolvers<void>();
  const stop = async () => {
    await Promise.all([runner.stop(), keeper.stop()]);
    ended.resolve();
  };
  if (lifecycle.isDraining) stop();
  else lifecycle.drainSignal.addEventListener("abort", stop, { once: true });
  return { ended: ended.promise };
}

function isGood(outcome: RunOutcome): boolean {
  return "result" in outcome && outcome.result.response?.status_code === 200;
}

/** The handlers that jobs may ask, without what stands between them and the network. */
function createJobApp(settings: AppSettings): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>();
  app.use(requestIds());
  for (const { method, path, handle } of API_ROUTES) {
    if (method === "POST" && (BATCH_ENDPOINTS as readonly string[]).includes(path)) {
      app.on(method, path, (c) => handle(c, settings));
    }
  }
  app.onError(onAppError(settings));
  return app;
}

async function runJob(
  app: Hono<ServerEnv>,
  job: TakenJob,
  signal: AbortSignal,
): Promise<RunOutcome> {
  const request = new Request(`http://localhost${job.endpoint}`, {
    method: "POST",
    body: atTheBack(job),
    signal,
  });
  const response = await app.fetch(request);
  const { status, headers } = response;
  const body: unknown = await response.json();
  if (status !== 200) {
    const retryMs = 1000 * Number(headers.get("retry-after") ?? 0) || RETRY_MS;
    // No room, or still loading, or on its way out: nothing is wrong with the job.
    if (signal.aborted || status === 503 || status === 429) return { retryMs, isAttempt: false };
    if (status === 500 && job.attempt < ATTEMPTS_MAX) return { retryMs, isAttempt: true };
  }
  const id = headers.get("x-request-id") ?? "";
  return { result: { response: { status_code: status, request_id: id, body }, error: null } };
}

/** The job's body, behind all live requests; a priority that is none is refused as theirs is. */
function atTheBack({ body }: TakenJob): string {
  const fields: Record<string, unknown> = JSON.parse(body);
  const { priority = null } = fields;
  if (priority !== null && typeof priority !== "number") return body;
  return JSON.stringify({ ...fields, priority: BACKGROUND_PRIORITY });
}
