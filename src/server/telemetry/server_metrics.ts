/**
 * What the server counts, under which names. Whoever has something to count holds a series; the
 * gauges look at the models when a scraper asks. Knows nothing of requests or routes.
 */
import type { LanguageModel } from "../../llm/types.ts";
import { type Counter, type Family, type Histogram, Metrics } from "../../metrics/mod.ts";
import { metricsText, type Reading } from "../../metrics/mod.ts";
import type { ModelStatus, RegistryEvent } from "../../models/types.ts";
import type { ModelCard } from "../model_source.ts";
import { addVllmNames } from "./vllm_names.ts";

/** Seconds: from a cached prompt on a GPU to a long one on a slow machine. */
const FIRST_TOKEN_BOUNDS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100];
const INTER_TOKEN_BOUNDS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
const REQUEST_BOUNDS = [0.005, 0.02, 0.05, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600];

/** The series of one model's generations. */
export interface GenerationSeries {
  readonly firstToken: Histogram;
  readonly interToken: Histogram;
  readonly seconds: Histogram;
  readonly promptTokens: Counter;
  readonly cachedTokens: Counter;
  readonly generatedTokens: Counter;
  readonly draftedTokens: Counter;
  readonly acceptedTokens: Counter;
  readonly diskReads: Counter;
  readonly diskBytes: Counter;
  readonly diskWaitSeconds: Counter;
  /** By how it ended: stop, length, cancelled, failed. */
  ended(how: string): Counter;
}

/** What gauges look at. */
export interface MetricSubjects {
  readonly models: { list(): readonly ModelCard[] };
  /** Requests under way that work, and whether the server takes more. */
  readonly underWay: () => number;
  readonly isDraining: () => boolean;
}

export interface ServerMetricsOptions {
  /** "vllm": also under the names that llm-d, Ray and dashboards of vLLM know. */
  readonly compat?: "vllm";
}

export class ServerMetrics {
  readonly #metrics = new Metrics();
  readonly #requests: Family<Counter>;
  readonly #requestSeconds: Family<Histogram>;
  readonly #ofModels: (model: string) => GenerationSeries;
  readonly #loads: Family<Counter>;
  readonly #loadSeconds: Family<Histogram>;
  readonly #unloads: Family<Counter>;
  readonly #batchJobs: Family<Counter>;
  readonly #bySeries = new Map<string, GenerationSeries>();
  #subjects: MetricSubjects | null = null;

  constructor({ compat }: ServerMetricsOptions = {}) {
    const metrics = this.#metrics;
    this.#requests = metrics.counter({
      name: "ganglion_requests_total",
      help: "Requests answered.",
      labels: ["route", "method", "status"],
    });
    this.#requestSeconds = metrics.histogram({
      name: "ganglion_request_seconds",
      help: "Time from a request's headers to its answer's last byte.",
      labels: ["route"],
      bounds: REQUEST_BOUNDS,
    });
    this.#ofModels = generationSeries(metrics);
    this.#loads = metrics.counter({
      name: "ganglion_model_loads_total",
      help: "Models loaded, by outcome.",
      labels: ["model", "outcome"],
    });
    this.#loadSeconds = metrics.histogram({
      name: "ganglion_model_load_seconds",
      help: "Time that loading took, waiting for room included.",
      labels: ["model"],
      bounds: REQUEST_BOUNDS,
    });
    this.#unloads = metrics.counter({
      name: "ganglion_model_unloads_total",
      help: "Models that left memory, by reason.",
      labels: ["model", "reason"],
    });
    this.#batchJobs = metrics.counter({
      name: "ganglion_batch_jobs_total",
      help: "Jobs of batches that were worked on, by outcome.",
      labels: ["outcome"],
    });
    this.#addGauges();
    if (compat === "vllm") {
      addVllmNames(metrics, () =>
        this.#cards().flatMap((card) => {
          const kv = loadedModel(card)?.kv;
          return kv === undefined ? [] : [[card.id, kv] as const];
        }));
    }
  }

  /** Says what the gauges look at; before, they show nothing. */
  watch(subjects: MetricSubjects): void {
    this.#subjects = subjects;
  }

  /** Counts an answered request. */
  request(
    about: { readonly route: string; readonly method: string; readonly status: number },
    seconds: number,
  ): void {
    this.#requests.of(about.route, about.method, String(about.status)).add();
    this.#requestSeconds.of(about.route).observe(seconds);
  }

  /** Counts a job of a batch. */
  batchJob(outcome: "completed" | "failed" | "given_back"): void {
    this.#batchJobs.of(outcome).add();
  }

  /** The series of a model's generations, to be held for as long as one lasts. */
  generations(model: string): GenerationSeries {
    let series = this.#bySeries.get(model);
    if (series === undefined) this.#bySeries.set(model, series = this.#ofModels(model));
    return series;
  }

  /** Counts what the registry of models did. */
  registryEvent(event: RegistryEvent): void {
    if (event.kind === "unloaded") return this.#unloads.of(event.id, event.reason).add();
    const isLoaded = event.kind === "loaded";
    this.#loads.of(event.id, isLoaded ? "loaded" : "failed").add();
    if (isLoaded) this.#loadSeconds.of(event.id).observe(event.ms / 1000);
  }

  /** All of it as Prometheus reads it. */
  text(): string {
    return metricsText(this.#metrics);
  }

  #cards(): readonly ModelCard[] {
    return this.#subjects?.models.list() ?? [];
  }

  #addGauges(): void {
    const metrics = this.#metrics;
    const byModel = (read: (card: ModelCard) => number | undefined) => (): Reading[] =>
      this.#cards().flatMap((card) => {
        const value = read(card);
        return value === undefined ? [] : [[[card.id], value] as const];
      });
    const gauge = (name: string, help: string, read: (card: ModelCard) => number | undefined) =>
      metrics.gauge({ name, help, labels: ["model"] }, byModel(read));
    const single = (name: string, help: string, read: () => number) =>
      metrics.gauge({ name, help }, read);
    gauge(
      "ganglion_generations_running",
      "Generations that are computed.",
      (card) => loadOf(card).running,
    );
    gauge(
      "ganglion_generations_waiting",
      "Generations that wait to be computed.",
      (card) => loadOf(card).waiting + (statusOf(card)?.waiting ?? 0),
    );
    gauge("ganglion_kv_usage_ratio", "Share of the cache of keys and values in use.", (card) => {
      const model = loadedModel(card);
      return model === null ? 0 : model.kv && model.kv.usedTokens / model.kv.capacityTokens;
    });
    gauge(
      "ganglion_model_loaded",
      "1 while the model is in memory.",
      (card) => loadedModel(card) === null ? 0 : 1,
    );
    gauge("ganglion_model_bytes", "Memory planned for the model.", (card) => statusOf(card)?.bytes);
    gauge(
      "ganglion_model_failed",
      "1 while the model's engine cannot answer.",
      (card) => card.failure ? 1 : 0,
    );
    single(
      "ganglion_requests_under_way",
      "Requests that work is done for.",
      () => this.#subjects?.underWay() ?? 0,
    );
    single(
      "ganglion_draining",
      "1 while the server takes no new work.",
      () => this.#subjects?.isDraining() ? 1 : 0,
    );
    const memory = (name: string, help: string, read: (use: Deno.MemoryUsage) => number) =>
      single(`ganglion_process_${name}`, help, () => read(Deno.memoryUsage()));
    memory("resident_bytes", "Memory of the process.", ({ rss }) => rss);
    memory("heap_bytes", "JavaScript's heap of the main thread.", ({ heapUsed }) => heapUsed);
    memory("external_bytes", "Buffers of the main thread.", ({ external }) => external);
  }
}

function generationSeries(metrics: Metrics): (model: string) => GenerationSeries {
  const labels = ["model"];
  const counter = (name: string, help: string) =>
    metrics.counter({ name: `ganglion_${name}_total`, help, labels });
  const histogram = (name: string, help: string, bounds: readonly number[]) =>
    metrics.histogram({ name: `ganglion_${name}_seconds`, help, labels, bounds });
  const firstToken = histogram(
    "first_token",
    "Time from a generation's request to its first token.",
    FIRST_TOKEN_BOUNDS,
  );
  const interToken = histogram("inter_token", "Time from token to token.", INTER_TOKEN_BOUNDS);
  const seconds = histogram("generation", "Time of whole generations.", REQUEST_BOUNDS);
  const promptTokens = counter("prompt_tokens", "Tokens of prompts, cached ones included.");
  const cachedTokens = counter("cached_prompt_tokens", "Tokens of prompts found in the cache.");
  const generatedTokens = counter("generated_tokens", "Tokens of answers.");
  const draftedTokens = counter("drafted_tokens", "Tokens that were guessed ahead.");
  const acceptedTokens = counter("accepted_tokens", "Of these, tokens that were right.");
  const diskReads = counter("disk_reads", "Reads of packed models' neurons.");
  const diskBytes = counter("disk_read_bytes", "Bytes of these reads.");
  const diskWaitSeconds = counter("disk_wait_seconds", "Time that threads waited for reads.");
  const ended = metrics.counter({
    name: "ganglion_generations_total",
    help: "Generations, by how they ended.",
    labels: ["model", "finish"],
  });
  return (model) => ({
    firstToken: firstToken.of(model),
    interToken: interToken.of(model),
    seconds: seconds.of(model),
    promptTokens: promptTokens.of(model),
    cachedTokens: cachedTokens.of(model),
    generatedTokens: generatedTokens.of(model),
    draftedTokens: draftedTokens.of(model),
    acceptedTokens: acceptedTokens.of(model),
    diskReads: diskReads.of(model),
    diskBytes: diskBytes.of(model),
    diskWaitSeconds: diskWaitSeconds.of(model),
    ended: (how) => ended.of(model, how),
  });
}

/** What only a registry knows of a model. */
function statusOf(
  card: ModelCard,
): Pick<ModelStatus, "bytes" | "waiting" | "model" | "base"> | undefined {
  return "leases" in card ? card as ModelCard & ModelStatus : undefined;
}

/** What it does; of models in one engine the first one has it all. */
function loadOf(card: ModelCard): LanguageModel["load"] {
  const isBeside = statusOf(card)?.base !== undefined;
  return (isBeside ? null : loadedModel(card))?.load ?? { running: 0, waiting: 0 };
}

/** The model behind a card: the card itself where all models are loaded. */
export function loadedModel(card: ModelCard): Pick<LanguageModel, "load" | "kv"> | null {
  const status = statusOf(card);
  if (status !== undefined) return status.model;
  return "load" in card ? card as ModelCard & LanguageModel : null;
}
