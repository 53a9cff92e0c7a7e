/**
 * The handler of `/v1/rerank`: which texts answer a query. In the form of Jina's and Cohere's, or,
 * where the texts are called `texts`, in that of Hugging Face's server of embeddings (TEI).
 */
import type { Context } from "hono";
import { z } from "zod";
import { inTurns, mapSteps } from "../../base/steps.ts";
import type { LanguageModel } from "../../llm/types.ts";
import { answerOnce, readWork } from "../answers/answer.ts";
import type { ServerEnv } from "../guards.ts";
import { fieldError } from "../http_errors.ts";
import { withOthers } from "../known_fields.ts";
import type { AppSettings } from "../options.ts";
import { listOf, optional } from "../parse_fields.ts";
import type { Route } from "../route.ts";
import { answerFields, CLIENT_HINTS, COUNT_MAX } from "./answer_fields.ts";

/** Jina's own bound. */
const DOCUMENTS_MAX = 2048;
/**
 * A query is read again with every document, so that a body of a megabyte could ask for gigabytes:
 * that often it may have so many characters in all, about a second's work.
 */
const QUERY_CHARS_MAX = 2 ** 23;

const document = z.union([
  z.string(),
  z.object({ text: z.string() }).transform(({ text }) => text),
], "expected a string, or an object with a text");

const documents = optional(listOf(document, { min: 1, max: DOCUMENTS_MAX }));

const rerankSchema = withOthers(
  z.object({
    model: optional(z.string().max(512)),
    query: z.string().min(1),
    documents,
    top_n: optional(z.int().min(1).max(COUNT_MAX)),
    return_documents: optional(z.boolean()),
    /** TEI's name of `documents`: the answer is a list of scores then. */
    texts: documents,
    /** TEI's name of `return_documents`. */
    return_text: optional(z.boolean()),
    /** Of `texts`: scores as the model has them, not between 0 and 1. */
    raw_scores: optional(z.boolean()),
    /** Documents that are too long are cut at their ends. */
    truncate: optional(z.boolean()),
    priority: answerFields.priority,
  }),
  { hints: [...CLIENT_HINTS, "truncation_direction"] },
);

type RerankFields = z.output<typeof rerankSchema>;

/** One mechanism by the names that llama.cpp's server, Jina and Cohere have for it. */
export const RERANK_ROUTES: readonly Route[] = [
  "/v1/rerank",
  "/v1/reranking",
  "/rerank",
  "/reranking",
].map((path) => ({
  method: "POST",
  path,
  handle: rerank,
  summary: path === "/v1/rerank"
    ? "How well texts answer a query, the best first"
    : "The same as /v1/rerank",
  body: rerankSchema,
  promptField: "query",
}));

async function rerank(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const fields = await readWork(c, settings, rerankSchema);
  const documents = documentsOf(fields).map((text) => text.toWellFormed());
  const query = fields.query.toWellFormed();
  if (query.length * documents.length > QUERY_CHARS_MAX) {
    const most = Math.floor(QUERY_CHARS_MAX / documents.length);
    throw fieldError(
      "query",
      `with ${documents.length} documents it has at most ${most} characters`,
    );
  }
  return await answerOnce(c, settings, { id: fields.model }, async (model, signal) => {
    const priority = -(fields.priority ?? 0);
    refuseUnranked(model);
    const options = { isCut: fields.truncate };
    const encode = (document: string) => model.inSteps.pair(query, document, options);
    const pairs = await inTurns(mapSteps(documents, encode), signal);
    const scores = await model.rank!(pairs, { signal, priority });
    const order = scores.map((_, index) => index)
      .sort((a, b) => scores[b] - scores[a] || a - b).slice(0, fields.top_n);
    const ranked = order.map((index) => ({
      ...{ index, score: scores[index], text: documents[index] },
    }));
    const tokens = pairs.reduce((sum, ids) => sum + ids.length, 0);
    return Response.json(answerOnWire(fields, { model, ranked, tokens }));
  });
}

/** @throws {RequestError} 400 unless they have one of their names. */
function documentsOf({ documents, texts }: RerankFields): readonly string[] {
  if (documents !== undefined && texts !== undefined) {
    throw fieldError("texts", `"texts" is another name of "documents": leave one out`);
  }
  const found = documents ?? texts;
  if (found !== undefined) return found;
  throw fieldError("documents", `"documents" is missing: the texts that may answer the query`);
}

function answerOnWire(
  { texts, raw_scores: isRaw, return_documents, return_text }: RerankFields,
  { model, ranked, tokens }: {
    readonly model: LanguageModel;
    readonly ranked: readonly { index: number; score: number; text: string }[];
    readonly tokens: number;
  },
) {
  const hasTexts = return_documents ?? return_text;
  if (texts !== undefined) {
    const isShare = isRaw || model.details?.scoresAreShares;
    return ranked.map(({ index, score, text }) => ({
      ...{ index, score: isShare ? score : sigmoid(score) },
      ...hasTexts && { text },
    }));
  }
  return {
    ...{ model: model.id, object: "list" },
    usage: { prompt_tokens: tokens, total_tokens: tokens },
    results: ranked.map(({ index, score, text }) => ({
      ...{ index, relevance_score: score },
      ...hasTexts && { document: { text } },
    })),
  };
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** @throws {RequestError} 400 when the model says of no texts how well they answer. */
function refuseUnranked(model: LanguageModel): void {
  if (model.rank !== undefined) return;
  throw fieldError("model", `The model "${model.id}" ranks no texts`, "model_not_supported");
}
