/** The handlers of Ollama's API that are about models, not about text. */
import { createHash } from "node:crypto";
import type { Context } from "hono";
import { z } from "zod";
import project from "../../../deno.json" with { type: "json" };
import { RequestError } from "../../base/errors.ts";
import { inTurns, mapSteps } from "../../base/steps.ts";
import type { ModelDetails } from "../../llm/types.ts";
import { answerOnce, readWork, withModel } from "../answers/answer.ts";
import type { ServerEnv } from "../guards.ts";
import type { ModelCard, ModelSource } from "../model_source.ts";
import { jsonInPieces, listPieces, memberPieces, vectorOnWire } from "../answers/json_pieces.ts";
import { embedAll } from "../openai/embeddings.ts";
import type { AppSettings } from "../options.ts";
import { withOthers } from "../known_fields.ts";
import { listOf, optional } from "../parse_fields.ts";
import { callFormatOf } from "../tools/call_format.ts";
import { keepAlive, leaseOptions, modelName } from "./fields.ts";
import { nanoseconds } from "./wire.ts";

/** When a model goes that stays: clients count down to it, and read years of four digits only. */
const NEVER = new Date("9999-01-01T00:00:00Z");

/** All models that can be asked for. */
export function tags(_c: Context<ServerEnv>, { models }: AppSettings): Response {
  return Response.json({ models: models.list().map((card) => cardOnWire(card, models)) });
}

/** Models that are loaded. */
export function running(_c: Context<ServerEnv>, { models }: AppSettings): Response {
  const loaded = models.list().filter(({ isLoaded = true }) => isLoaded);
  return Response.json({
    models: loaded.map((card) => ({
      ...cardOnWire(card, models),
      expires_at: (card.expiresAt ?? NEVER).toISOString(),
      size_vram: 0,
      ...(card.contextLength !== undefined && { context_length: card.contextLength }),
    })),
  });
}

export function version(): Response {
  return Response.json({ version: project.version });
}

export const showSchema = withOthers(z.object({ model: modelName, name: modelName }), {
  hints: ["verbose"],
});

/** What is known of a model. */
export async function show(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const { model: id, name } = await readWork(c, settings, showSchema);
  return await withModel(
    c,
    settings,
    leaseOptions(settings, { model: id ?? name }),
    ({ lease: { model } }) => {
      const { details } = model;
      const uses = details?.uses ?? ["writing", "vectors"];
      const hasTools = details?.chatTemplate && callFormatOf(model).isInTemplate;
      return Response.json({
        license: "",
        modelfile: `FROM ${model.id}\n`,
        parameters: "",
        template: details?.chatTemplate ?? "",
        system: "",
        details: detailsOnWire(details),
        model_info: {
          ...details?.metadata,
          "general.parameter_count": details?.parameterCount ?? 0,
        },
        capabilities: [
          ...(uses.includes("writing") ? ["completion"] : []),
          ...(uses.includes("images") ? ["vision"] : []),
          ...(uses.includes("sounds") ? ["audio"] : []),
          ...(hasTools ? ["tools"] : []),
          ...(details?.gapMarks ? ["insert"] : []),
          ...(model.embed !== undefined && uses.includes("vectors") ? ["embedding"] : []),
        ],
        modified_at: new Date(model.created * 1e3).toISOString(),
      });
    },
  );
}

/** Of embeddings: options of samplers and of loading. */
const EMBEDDING_OTHERS = { hints: ["options"] };

export const embedSchema = withOthers(
  z.object({
    model: modelName,
    /** Empty: the model is loaded, and nothing is asked of it. */
    input: z.union([
      z.string().transform((text) => text === "" ? [] : [text]),
      listOf(z.string(), { max: 2048 }),
    ], "expected a string, or a list of up to 2048 strings"),
    truncate: optional(z.boolean()),
    dimensions: optional(z.int().min(1).max(2 ** 20)),
    keep_alive: keepAlive,
  }),
  EMBEDDING_OTHERS,
);

/** Vectors of texts; texts that are too long are cut unless `truncate` is false. */
export async function embed(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const startMs = performance.now();
  const fields = await readWork(c, settings, embedSchema);
  return await answerOnce(c, settings, leaseOptions(settings, fields), async (model, signal) => {
    const loadedMs = performance.now();
    const isCut = fields.truncate !== false;
    const steps = mapSteps(fields.input, function* (text) {
      const ids = yield* model.inSteps.whole(text.toWellFormed(), { isCut });
      return isCut ? ids.slice(0, model.contextLength) : ids;
    });
    const inputs = await inTurns(steps, signal);
    const { dimensions } = fields;
    const vectors = inputs.length === 0
      ? []
      : await embedAll(model, inputs, { signal, dimensions });
    const rest = {
      model: model.id,
      total_duration: nanoseconds(performance.now() - startMs),
      load_duration: nanoseconds(loadedMs - startMs),
      prompt_eval_count: inputs.reduce((sum, ids) => sum + ids.length, 0),
    };
    const embeddings = listPieces(vectors, vectorOnWire);
    return jsonInPieces(settings, memberPieces("embeddings", embeddings, rest));
  });
}

export const embeddingsSchema = withOthers(
  z.object({
    model: modelName,
    prompt: z.string(),
    keep_alive: keepAlive,
  }),
  EMBEDDING_OTHERS,
);

/** One text's vector: what `/api/embed` was before. */
export async function embeddings(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const fields = await readWork(c, settings, embeddingsSchema);
  return await answerOnce(c, settings, leaseOptions(settings, fields), async (model, signal) => {
    const ids = await inTurns(model.inSteps.whole(fields.prompt.toWellFormed()), signal);
    const [embedding] = await embedAll(model, [ids], { signal });
    return Response.json({ embedding: [...embedding] });
  });
}

/** Making models is no business of this server's. */
export function unsupported(c: Context<ServerEnv>): never {
  throw new RequestError(`${c.req.path} is not supported by this server`, {
    status: 501,
    code: "not_supported",
  });
}

function cardOnWire(card: ModelCard, models: ModelSource) {
  const { id, created, details } = card;
  const file = models.fileOf?.(id);
  return {
    name: id,
    model: id,
    modified_at: new Date(file?.modifiedMs ?? created * 1e3).toISOString(),
    size: file?.sizeBytes ?? details?.fileBytes ?? 0,
    // Clients cut it and show it: it tells models apart, it is not the file's.
    digest: createHash("sha256").update(id).digest("hex"),
    details: detailsOnWire(details),
  };
}

function detailsOnWire(details: ModelDetails | undefined) {
  const family = details?.architecture ?? "unknown";
  return {
    parent_model: "",
    format: "gguf",
    family,
    families: [family],
    parameter_size: details === undefined ? "" : inMillions(details.parameterCount),
    quantization_level: details?.quantization ?? "",
  };
}

/** "1.1B", "33M". */
function inMillions(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(1)}B`;
  return count >= 1e6 ? `${Math.round(count / 1e6)}M` : `${Math.round(count / 1e3)}K`;
}
