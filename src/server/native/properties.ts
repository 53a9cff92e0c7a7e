/**
 * What a model is and does, as llama.cpp's server tells it: `/props`, `/slots`, `/lora-adapters`.
 * Clients look there for the context's length, images, and whether there is room. Who only looks
 * has no model loaded for it.
 */
import type { Context } from "hono";
import { z } from "zod";
import project from "../../../deno.json" with { type: "json" };
import { RequestError } from "../../base/errors.ts";
import type { SamplingOptions } from "../../llm/types.ts";
import type { ServerEnv } from "../guards.ts";
import { loadingError } from "../http_errors.ts";
import { acquireModel } from "../model_source.ts";
import { adapterShares, onlyDefined } from "../openai/answer_fields.ts";
import type { AppSettings } from "../options.ts";
import { readList } from "../read_fields.ts";
import type { Route } from "../route.ts";
import { type ShownModel, shownModel } from "./shown_model.ts";

/** Left out: the default model. */
const query = z.object({ model: z.string().optional() });
const slotsQuery = query.extend({
  /** 503 where no slot is free. */
  fail_on_no_slot: z.string().optional(),
});

export const PROPERTY_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/props",
    handle: properties,
    summary: "What a model is, as llama.cpp's server tells it",
    query,
  },
  {
    method: "GET",
    path: "/slots",
    handle: slots,
    summary: "How many answers a model writes at once, and how many it writes now",
    query: slotsQuery,
  },
  {
    method: "GET",
    path: "/lora-adapters",
    handle: adapters,
    summary: "The adapters of a model: in its weights, or those that requests choose (lora)",
    query,
  },
  {
    method: "POST",
    path: "/lora-adapters",
    handle: changeAdapters,
    summary: "How much of each adapter requests have that choose none themselves, from now on",
    query,
    body: adapterShares,
  },
];

function properties(c: Context<ServerEnv>, settings: AppSettings): Response {
  const { card, live } = look(c, settings);
  const { id, contextLength = 0, details } = card;
  return Response.json({
    default_generation_settings: { n_ctx: contextLength, params: defaultsOf(details?.sampling) },
    total_slots: slotCount(live),
    // Where files lie is nobody's business.
    ...{ model_alias: id, model_path: id },
    modalities: {
      vision: details?.uses.includes("images") ?? false,
      audio: details?.uses.includes("sounds") ?? false,
    },
    chat_template: details?.chatTemplate ?? "",
    ...details?.controlVectors && {
      control_vectors: details.controlVectors.map(({ name, scale }) => ({ path: name, scale })),
    },
    build_info: `ganglion-${project.version}`,
    is_sleeping: live === null,
  });
}

/** What is taken where a request does not say: the file's, or llama.cpp's. */
function defaultsOf(sampling: SamplingOptions = {}) {
  const { temperature = 0.8, topK = 40, topP = 0.95, minP = 0.05, repeatPenalty = 1 } = sampling;
  return {
    ...{ temperature, top_k: topK, top_p: topP, min_p: minP, repeat_penalty: repeatPenalty },
    ...onlyDefined({
      repeat_last_n: sampling.repeatLastN,
      xtc_probability: sampling.xtcProbability,
      xtc_threshold: sampling.xtcThreshold,
      mirostat: sampling.mirostat,
      mirostat_tau: sampling.mirostatTau,
      mirostat_eta: sampling.mirostatEta,
    }),
  };
}

/** Answers have no slots of their own: the first so many are said to be busy. */
function slots(c: Context<ServerEnv>, settings: AppSettings): Response {
  const { card, live } = look(c, settings);
  const count = slotCount(live);
  const running = live?.load.running ?? 0;
  if (c.req.query("fail_on_no_slot") && running >= count) {
    throw new RequestError("No slot is free: try again later", {
      status: 503,
      type: "unavailable_error",
      code: "no_free_slot",
      retryAfterSeconds: 1,
    });
  }
  return Response.json(Array.from({ length: count }, (_, id) => ({
    ...{ id, n_ctx: card.contextLength ?? 0, is_processing: id < running },
  })));
}

function adapters(c: Context<ServerEnv>, settings: AppSettings): Response {
  const { adapters = [], choosableAdapters } = look(c, settings).card.details ?? {};
  return Response.json(
    (choosableAdapters ?? adapters).map(({ name, scale }, id) => ({ id, path: name, scale })),
  );
}

/**
 * For requests that come from now on: those that are answered, or wait, have what they came with.
 * Whoever may ask the model may change this, as he may have it loaded and let go.
 */
async function changeAdapters(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const shares = await readList(c, settings, adapterShares);
  const { models, log } = settings;
  const lease = await acquireModel(models, c.req.query("model"), { signal: c.req.raw.signal });
  try {
    const { model } = lease;
    if (model.chooseAdapters === undefined) throw noAdapters();
    model.chooseAdapters(shares);
    const scales = model.details?.choosableAdapters?.map(({ scale }) => scale).join(" ") ?? "";
    log.info("adapter scales", { request_id: c.get("requestId"), model: model.id, scales });
  } finally {
    lease.release();
  }
  return Response.json({ success: true });
}

function noAdapters(): RequestError {
  return new RequestError("This model has no adapters that can be chosen", {
    status: 400,
    code: "not_supported",
  });
}

/** @throws {RequestError} 503 while the first model is loaded. */
function look(c: Context<ServerEnv>, { models }: AppSettings): ShownModel {
  if (models.state === "loading") throw loadingError();
  return shownModel(models, c.req.query("model"));
}

function slotCount(live: ShownModel["live"]): number {
  return live === null ? 0 : live.runningMax ?? 1;
}
