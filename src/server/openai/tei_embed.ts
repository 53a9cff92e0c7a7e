/**
 * Vectors of texts in the form of Hugging Face's server of embeddings (TEI): `/embed`, for clients
 * that know nothing else. Its `/rerank` is in rerank.ts.
 */
import { z } from "zod";
import type { Context } from "hono";
import { RequestError } from "../../base/errors.ts";
import { readWork, whileWanted, withModel } from "../answers/answer.ts";
import { jsonInPieces, listPieces, vectorOnWire } from "../answers/json_pieces.ts";
import type { ServerEnv } from "../guards.ts";
import { withOthers } from "../known_fields.ts";
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
  {
    method: "POST",
    path: "/embed",
    handle: embed,
    summary: "Vectors of texts, as TEI has it",
    body: embedSchema,
    promptField: "inputs",
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
  return await withModel(
    c,
    settings,
    { id: fields.model },
    (work) =>
      whileWanted(work, async (signal) => {
        const { model } = work.lease;
        const { dimensions, normalize: isUnit, truncate: isCut, priority = 0 } = fields;
        const inputs = await encodeInputs(model, fields.inputs, { signal, isCut });
        const options = { signal, dimensions, isUnit, priority: -priority };
        const vectors = await embedAll(model, inputs, options);
        return jsonInPieces(settings, listPieces(vectors, vectorOnWire));
      }),
  );
}

function refuseSparse(): Response {
  throw new RequestError(
    "This server makes no sparse vectors: ask POST /embed for dense ones",
    { status: 501, code: "not_supported" },
  );
}
