/** How a model makes vectors of texts, scores pairs of them, or does neither. */
import { RequestError } from "../base/errors.ts";
import { getNumber } from "../gguf/mod.ts";
import type { GgufFile } from "../gguf/types.ts";
import type { ModelConfig, Pooling, RankerTensors } from "../model/types.ts";
import type { TextHead } from "./text_head.ts";

/** GGUF's `pooling_type`: 0 says nothing. */
const POOLINGS: readonly (Pooling | null)[] = ["mean", "mean", "first", "last"];
/** It says that the file has weights that score pairs of texts. */
const RANKS = 4;

/**
 * Which rows a text's vector is made of.
 * @throws {RequestError} 400 where the model scores pairs instead, 501 for another way of pooling.
 */
export function readPooling(
  metadata: GgufFile["metadata"],
  { architecture }: Pick<ModelConfig, "architecture">,
): Pooling {
  const type = typeOf(metadata, architecture);
  const pooling = POOLINGS[type] ?? null;
  if (pooling !== null) return pooling;
  if (type === RANKS) {
    throw new RequestError(
      "Cannot make vectors of texts: this model says how well texts answer a question: ask " +
        "POST /v1/rerank, or take another model",
      { status: 400, code: "unsupported" },
    );
  }
  throw new RequestError(
    `Cannot make vectors of texts: this model pools them in a way (${type}) that is not ` +
      "supported: take another model",
    { status: 501, code: "unsupported" },
  );
}

/** True where the file says that the model scores pairs, and makes no vectors. */
export function ranksPairs(
  metadata: GgufFile["metadata"],
  { architecture }: Pick<ModelConfig, "architecture">,
): boolean {
  return typeOf(metadata, architecture) === RANKS;
}

function typeOf(metadata: GgufFile["metadata"], architecture: string): number {
  return getNumber(metadata, `${architecture}.pooling_type`, 0);
}

/** @throws {RequestError} 400 where the model has nothing to score pairs of texts with. */
export function rankerOf(head: TextHead | null): RankerTensors {
  if (head !== null && head.ranker !== null) return head.ranker;
  throw new RequestError(
    "Cannot say how well texts answer a question: this model has no weights for it (cls): take a " +
      "reranker",
    { status: 400, code: "unsupported" },
  );
}

/** @throws {RequestError} 400 where the model reads texts, and writes none. */
export function refuseEncoder({ isEncoder, architecture }: ModelConfig): void {
  if (!isEncoder) return;
  throw new RequestError(
    `Cannot write with this model: ${architecture} is an encoder, which makes vectors of texts: ` +
      "ask POST /v1/embeddings, or take another model",
    { status: 400, code: "unsupported" },
  );
}

/**
 * What is asked of a text that goes on has no meaning where there are a source and an answer, or
 * where each word depends on all of the text.
 * @throws {RequestError} 400 for a model that answers a source, or fills in a text.
 */
export function requireGoingOn({ source, fill, architecture }: ModelConfig, what: string): void {
  if (source === undefined && fill === undefined) return;
  const how = fill === undefined
    ? "reads a source and writes an answer to it"
    : "fills in masks, each by all of the text";
  throw new RequestError(
    `Cannot ${what} with this model: ${architecture} ${how}, and has no text that goes on: ask ` +
      "it for completions, or take another model",
    { status: 400, code: "unsupported" },
  );
}
