/** The handler of `/v1/rerank`, in the form of Jina's and Cohere's: which texts answer a query. */
import type { Context } from "hono";
import { z } from "zod";
import type { LanguageModel } from "../../llm/types.ts";
import { readWork, whileWanted, withModel } from "../answers/answer.ts";
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

const rerankSchema = withOthers(
  z.object({
    model: optional(z.string().max(512)),
    query: z.string().min(1),
    documents: listOf(document, { min: 1, max: DOCUMENTS_MAX }),
    top_n: optional(z.int().min(1).max(COUNT_MAX)),
    return_documents: optional(z.boolean()),
    priority: answerFields.priority,
  }),
  { hints: CLIENT_HINTS },
);

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
  const documents = fields.documents.map((text) => text.toWellFormed());
  const query = fields.query.toWellFormed();
  if (query.length * documents.length > QUERY_CHARS_MAX) {
    const most = Math.floor(QUERY_CHARS_MAX / documents.length);
    throw fieldError(
      "query",
      `with ${documents.length} documents it has at most ${most} characters`,
    );
  }
  return await withModel(
    c,
    settings,
    { id: fields.model },
    (work) =>
      whileWanted(work, async (signal) => {
        const { model } = work.lease;
        const priority = -(fields.priority ?? 0);
        const pairs = encodePairs(model, query, documents);
        const scores = await model.rank!(pairs, { signal, priority });
        const order = scores.map((_, index) => index)
          .sort((a, b) => scores[b] - scores[a] || a - b).slice(0, fields.top_n);
        const tokens = pairs.reduce((sum, ids) => sum + ids.length, 0);
        return Response.json({
          model: model.id,
          object: "list",
          usage: { prompt_tokens: tokens, total_tokens: tokens },
          results: order.map((index) => ({
            index,
            relevance_score: scores[index],
            ...(fields.return_documents ? { document: { text: documents[index] } } : {}),
          })),
        });
      }),
  );
}

/** @throws {RequestError} 400 when the model says of no texts how well they answer. */
function encodePairs(
  model: LanguageModel,
  query: string,
  documents: readonly string[],
): number[][] {
  if (model.rank === undefined || model.encodePair === undefined) {
    throw fieldError("model", `The model "${model.id}" ranks no texts`, "model_not_supported");
  }
  return documents.map((text) => model.encodePair!(query, text));
}
