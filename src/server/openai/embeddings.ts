/** The handler of `/v1/embeddings`, and what others need to embed texts. */
import type { Context } from "hono";
import { z } from "zod";
import { inTurns, mapSteps, type Steps } from "../../base/steps.ts";
import type { EmbedOptions, LanguageModel } from "../../llm/types.ts";
import { unitVector } from "../../llm/unit_vector.ts";
import { answerOnce, readWork } from "../answers/answer.ts";
import { jsonInPieces, listPieces, memberPieces } from "../answers/json_pieces.ts";
import type { ServerEnv } from "../guards.ts";
import { fieldError } from "../http_errors.ts";
import type { AppSettings } from "../options.ts";
import { withOthers } from "../known_fields.ts";
import { optional } from "../parse_fields.ts";
import { answerFields, CLIENT_HINTS } from "./answer_fields.ts";
import { type TextOrIds, textsOrIds } from "./completion_request.ts";

/** As many as OpenAI takes. */
export const INPUTS_MAX = 2048;
const DIMENSIONS_MAX = 2 ** 20;

const fields = {
  model: optional(z.string().max(512)),
  encoding_format: optional(z.enum(["float", "base64"])),
  dimensions: optional(z.int().min(1).max(DIMENSIONS_MAX)),
  priority: answerFields.priority,
};

export const embeddingsSchema = withOthers(
  z.object({ ...fields, input: textsOrIds(INPUTS_MAX) }),
  { hints: CLIENT_HINTS },
);

export const rootEmbeddingsSchema = withOthers(
  z.object({
    ...fields,
    input: optional(textsOrIds(INPUTS_MAX)),
    /** llama.cpp's name of `input`: the answer is a list of vectors then. */
    content: optional(textsOrIds(INPUTS_MAX)),
    /** -1: vectors of whatever length the model makes; 2: of length 1. */
    embd_normalize: optional(z.union([z.literal(-1), z.literal(2)], "expected -1 or 2")),
  }),
  { hints: CLIENT_HINTS },
);

/** Vectors of texts. */
export async function embeddings(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  return await answer(c, settings, await readWork(c, settings, embeddingsSchema));
}

/** The same of paths without "/v1", where llama.cpp's clients ask in their own form, too. */
export async function rootEmbeddings(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  const fields = await readWork(c, settings, rootEmbeddingsSchema);
  const { input, content } = fields;
  if (input !== undefined && content !== undefined) {
    throw fieldError("content", `"content" is another name of "input": leave one out`);
  }
  const asked = input ?? content;
  if (asked === undefined) throw fieldError("input", `"input" is missing: the texts to embed`);
  return await answer(c, settings, { ...fields, input: asked, isNative: content !== undefined });
}

interface Asked extends z.output<typeof embeddingsSchema> {
  /** llama.cpp's form of answers. */
  readonly isNative?: boolean;
  readonly embd_normalize?: -1 | 2;
}

async function answer(
  c: Context<ServerEnv>,
  settings: AppSettings,
  fields: Asked,
): Promise<Response> {
  return await answerOnce(c, settings, { id: fields.model }, async (model, signal) => {
    const inputs = await encodeInputs(model, fields.input, { signal });
    const { dimensions, priority = 0 } = fields;
    const isUnit = fields.embd_normalize !== -1;
    const options = { signal, dimensions, isUnit, priority: -priority };
    const vectors = await embedAll(model, inputs, options);
    if (fields.isNative) {
      const write = (vector: Float32Array, index: number) =>
        JSON.stringify({ index, embedding: [[...vector]] });
      return jsonInPieces(settings, listPieces(vectors, write));
    }
    const tokens = inputs.reduce((sum, ids) => sum + ids.length, 0);
    const isBase64 = fields.encoding_format === "base64";
    const data = listPieces(vectors, (vector, index) => {
      const embedding = isBase64 ? base64(vector) : [...vector];
      return JSON.stringify({ object: "embedding", index, embedding });
    });
    const rest = {
      object: "list",
      model: model.id,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    };
    return jsonInPieces(settings, memberPieces("data", data, rest));
  });
}

/** Ids of all inputs; isCut: of texts that are too long, as many as fit. */
export async function encodeInputs(
  model: LanguageModel,
  inputs: readonly TextOrIds[],
  { signal, isCut = false }: { readonly signal: AbortSignal; readonly isCut?: boolean },
): Promise<(readonly number[])[]> {
  const how = isCut ? { isCut } : { mustFit: true };
  const steps = mapSteps(inputs, function* (input): Steps<readonly number[]> {
    return "text" in input ? yield* model.inSteps.whole(input.text, how) : input.ids;
  });
  return await inTurns(steps, signal);
}

/**
 * Vectors [dimensions]: pooled hidden states, cut short if need be. isUnit: of length 1, which is
 * the default.
 * @throws {RequestError} 400 when the model embeds nothing, or not in so many dimensions.
 */
export async function embedAll(
  model: LanguageModel,
  inputs: readonly (readonly number[])[],
  { dimensions, isUnit = true, ...options }: EmbedOptions & {
    readonly dimensions?: number;
    readonly isUnit?: boolean;
  },
): Promise<Float32Array[]> {
  if (model.embed === undefined) {
    throw fieldError("model", `The model "${model.id}" makes no embeddings`, "model_not_supported");
  }
  const vectors = await model.embed(inputs, options);
  const length = vectors[0]?.length ?? 0;
  if (dimensions !== undefined && dimensions > length) {
    throw fieldError("dimensions", `This model's embeddings have ${length} dimensions`);
  }
  const steps = function* (): Steps<Float32Array[]> {
    for (const [index, vector] of vectors.entries()) {
      const short = vector.slice(0, dimensions);
      vectors[index] = isUnit ? unitVector(short) : short;
      yield;
    }
    return vectors;
  };
  return await inTurns(steps(), options.signal);
}

/** Little-endian floats, as OpenAI's client decodes them. */
function base64(vector: Float32Array): string {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength).toBase64();
}
