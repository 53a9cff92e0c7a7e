/**
 * Models of one layer that guess with rows of another model (EAGLE-3): what one of them is beside
 * the model that it was made for, whose embeddings and output it may use. Reads headers only.
 */
import { UnsupportedModelError } from "../base/errors.ts";
import type { GgufFile, GgufTensor } from "../gguf/mod.ts";
import { COMMON, type Family } from "./family.ts";
import { formatError, Hyperparameters } from "./read/hyperparameters.ts";
import { readConfig } from "./read/read_config.ts";
import { readFusion, readGuessedCount, TOKENS_TENSOR } from "./read/read_fusion.ts";
import { readTensors } from "./read/read_tensors.ts";
import type { FusionConfig } from "./guess_types.ts";
import type { ModelConfig, ModelDescription } from "./types.ts";

const EAGLE3: Family = { ...COMMON, architecture: "eagle3", positions: "norm" };
const EMBEDDING = "token_embd.weight";
const OUTPUT = "output.weight";

/** True for a file of a model that guesses with another one's rows. */
export function isFused({ metadata }: Pick<GgufFile, "metadata">): boolean {
  return metadata.get("general.architecture") === EAGLE3.architecture;
}

/** @throws {UnsupportedModelError} when the architecture is that of one. */
export function refuseFused(architecture: string): void {
  if (architecture !== EAGLE3.architecture) return;
  throw new UnsupportedModelError(
    'Cannot run a model of architecture "eagle3" by itself: it guesses with rows of the model ' +
      "that it was made for: give that model's file, and this one with --draft-model",
  );
}

/** A model that guesses, with what it has of the other one. */
export interface FusedModelFile {
  /** Its tensors, and those of the other model that it uses. */
  readonly file: GgufFile;
  readonly model: ModelDescription;
}

/**
 * What a file's model is that guesses for another one, in as long a context.
 * @throws {ModelFormatError} when metadata or tensors are missing, senseless or contradictory.
 * @throws {UnsupportedModelError} when it was made for a model of another shape.
 */
export function describeFused(
  draft: GgufFile,
  other: { readonly file: GgufFile; readonly config: ModelConfig },
  contextLength: number,
): FusedModelFile {
  requirePlainStream(other.config);
  const keys = new Hyperparameters(draft, EAGLE3.architecture);
  const fusion = readFusion(draft, keys, other.config);
  const file = withShared(draft, other, keys.integer("embedding_length", { min: 1 }));
  const tokens = draft.metadata.get("tokenizer.ggml.tokens");
  requireTokens("vocabulary", typeof tokens === "object" ? tokens.length : undefined, fusion);
  requireTokens("embedding table", file.tensors.get(EMBEDDING)?.dims[1], fusion);
  const read = readConfig(file, EAGLE3, { contextLength });
  const config: ModelConfig = {
    ...read,
    vocabSize: readGuessedCount(draft, fusion.tokenCount),
    guess: { readsNormed: false, fusion },
  };
  return { file, model: { config, tensors: readTensors(file, config, EAGLE3) } };
}

/** count: of tokens that it has there; undefined: it does not say. */
function requireTokens(where: string, count: number | undefined, { tokenCount }: FusionConfig) {
  if (count === undefined || count === tokenCount) return;
  throw new UnsupportedModelError(
    `Cannot guess with this draft model: its ${where} has ${count} tokens, the model's ` +
      `${tokenCount}: take the draft model that was made for this model`,
  );
}

/** Where several streams lie side by side, no row is what goes into a layer. */
function requirePlainStream({ altUp, hyper, gatedStreams, keptStreams }: ModelConfig): void {
  if (altUp === null && !hyper && !gatedStreams && !keptStreams) return;
  throw new UnsupportedModelError(
    "Cannot guess with this draft model: layers of the model that it is for have several " +
      "residual streams: leave out --draft-model",
  );
}

/**
 * The draft's file with the other model's embedding table, and its output, where it has none. Its
 * own parts are first: what is wrong is told of the first one.
 */
function withShared(
  draft: GgufFile,
  { file, config }: { readonly file: GgufFile; readonly config: ModelConfig },
  width: number,
): GgufFile {
  const tensors = new Map(draft.tensors);
  if (tensors.has(TOKENS_TENSOR) && !tensors.has(OUTPUT)) {
    throw formatError(
      draft,
      `Cannot find tensor "${OUTPUT}": "${TOKENS_TENSOR}" lists its rows' tokens: get the file ` +
        "again or convert the model again",
    );
  }
  const isTied = !tensors.has(EMBEDDING) && config.tiedEmbeddings;
  for (const name of [EMBEDDING, OUTPUT]) {
    // What is left out is the table again.
    if (tensors.has(name) || name === OUTPUT && isTied) continue;
    if (width !== config.embeddingLength) {
      throw new UnsupportedModelError(
        `Cannot guess with this draft model: it has no "${name}" of its own, and rows of ` +
          `${width} numbers, the model's have ${config.embeddingLength}: take the draft model ` +
          "that was made for this model",
      );
    }
    const shared = file.tensors.get(name) ?? file.tensors.get(EMBEDDING);
    if (shared === undefined) continue;
    tensors.set(name, { ...withPart(shared, draft.parts.length), name });
  }
  const metadata = new Map(draft.metadata);
  // It counts the tokens of one model or the other.
  metadata.delete(`${EAGLE3.architecture}.vocab_size`);
  return { ...draft, metadata, tensors, parts: [...draft.parts, ...file.parts] };
}

/** The tensor, and all that it is made of, so many parts further on. */
function withPart(tensor: GgufTensor, shift: number): GgufTensor {
  const { adapted, scaled, ternary, part } = tensor;
  const moved = (each: GgufTensor) => withPart(each, shift);
  const products = adapted?.products.map((product) => {
    return { ...product, left: moved(product.left), right: moved(product.right) };
  });
  return {
    ...tensor,
    part: part + shift,
    ...adapted && { adapted: { base: moved(adapted.base), products: products! } },
    ...scaled && { scaled: { base: moved(scaled.base), factors: moved(scaled.factors) } },
    ...ternary && { ternary: moved(ternary) },
  };
}
