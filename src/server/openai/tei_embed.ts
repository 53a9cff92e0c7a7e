/**
 * Vectors of texts in the form of Hugging Face's server of embeddings (TEI): `/embed`, and `/`,
 * where huggingface_hub posts to. Its `/rerank` is in rerank.ts.
 */
import { z } from "zod";
import type { Context } from "hono";
import project from "../../../deno.json" with { type: "json" };
import { RequestError } from "../../base/errors.ts";
import type { ModelDetails } from "../../llm/types.ts";
import { answerOnce, readWork } from "../answers/answer.ts";
import { jsonInPieces, listPieces, vectorOnWire } from "../answers/json_pieces.ts";
import type { ServerEnv } from "../guards.ts";
import { loadingError } from "../http_errors.ts";
import { withOthers } from "../known_fields.ts";
import { shownModel } from "../native/shown_model.ts";
import type { AppSettings } from "../options.ts";
import { harmless, optional } from "../parse_fields.ts";
import type { Route } from "../route.ts";
import { textsOrIds } from "./completion_request.ts";
import { embedAll, embeddingsSchema, encodeInputs, INPUTS_MAX } from "./embeddings.ts";

const { model, dimensions, priority } = embeddingsSchema.shape;

const embedSchema = withOthers(
  z.object({
    ...{ model, dimensions, priority },
    inputs: textsOrIds(INPUTS_MAX),
    /** False: vectors of whatever length the model makes. */
    normalize: optional(z.boolean()),
    /** Texts that are too long are cut at their ends. */
    truncate: optional(z.boolean()),
  }),
  {
    // A file says nothing of prompts that have names: what stands before a text is the client's.
    unsupported: { prompt_name: harmless.never },
    hints: ["truncation_direction"],
  },
);

export const TEI_ROUTES: readonly Route[] = [
  ...["/embed", "/"].map((path): Route => ({
    method: "POST",
    path,
    handle: embed,
    summary: path === "/" ? "The same as /embed" : "Vectors of texts, as TEI has it",
    body: embedSchema,
    promptField: "inputs",
  })),
  {
    method: "GET",
    path: "/info",
    handle: info,
    summary: "What a model of vectors or ranks is, as TEI tells it",
    query: z.object({ model: z.string().optional() }),
  },
  {
    method: "POST",
    path: "/embed_sparse",
    handle: refuseSparse,
    summary: "Not supported",
  },
];

async function embed(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const fields = await readWork(c, settings, embedSchema);
  return await answerOnce(c, settings, { id: fields.model }, async (model, signal) => {
    const { dimensions, normalize: isUnit, truncate: isCut, priority = 0 } = fields;
    const inputs = await encodeInputs(model, fields.inputs, { signal, isCut });
    const options = { signal, dimensions, isUnit, priority: -priority };
    const vectors = await embedAll(model, inputs, options);
    return jsonInPieces(settings, listPieces(vectors, vectorOnWire));
  });
}

/** Left out are TEI's own build and its settings, which this server has not. */
function info(c: Context<ServerEnv>, { models }: AppSettings): Response {
  if (models.state === "loading") throw loadingError();
  const { card: { id, contextLength = 0, details } } = shownModel(models, c.req.query("model"));
  const labels = { id2label: { "0": "LABEL_0" }, label2id: { LABEL_0: 0 } };
  return Response.json({
    ...{ model_id: id, model_sha: null, model_dtype: details?.quantization.toLowerCase() ?? "" },
    model_type: details?.uses.includes("ranking")
      ? { reranker: labels }
      : { embedding: { pooling: poolingOf(details) } },
    max_input_length: contextLength,
    max_client_batch_size: INPUTS_MAX,
    auto_truncate: false,
    version: project.version,
  });
}

/** TEI's names by GGUF's `pooling_type`; a file that says nothing has the mean. */
const POOLINGS: Readonly<Record<number, string>> = { 1: "mean", 2: "cls", 3: "last_token" };

function poolingOf(details: ModelDetails | undefined): string {
  const type = details?.metadata[`${details.architecture}.pooling_type`];
  return POOLINGS[Number(type)] ?? "mean";
}

function refuseSparse(): Response {
  throw new RequestError(
    "This server makes no sparse vectors: ask POST /embed for dense ones",
    { status: 501, code: "not_supported" },
  );
}
