/**
 * Tensor names of latent attention, in the forms that files have had: what makes keys and values of
 * latents is one tensor, or two of which the first is transposed. Knows names and shapes; reads no
 * weights.
 */
import { ownKeyDim } from "../latent.ts";
import { type LayerReader, rowsOf } from "./layer_reader.ts";
import type { HeadRows, LatentConfig, LatentTensors, LayerTensors } from "../types.ts";

/** What chooses keys. */
const INDEXER = [
  ...["attn_q_b.weight", "attn_k.weight", "proj.weight"],
  ...["k_norm.weight", "k_norm.bias"],
];

/**
 * A layer's tensors for queries, keys and values, checked.
 * @throws {ModelFormatError | UnsupportedModelError} as `readTensors` does.
 */
export function latentTensors(
  reader: LayerReader,
  latent: LatentConfig,
): Pick<LayerTensors, "query" | "key" | "value" | "latent"> {
  const { checker, config: { embeddingLength: columns, headDim, headCount }, family, at } = reader;
  const { length, queryLength, turnedDim } = latent;
  const queryRows = headCount * ownKeyDim(latent);
  const isShort = queryLength > 0;
  const both = checker.matrix(`${at}attn_kv_a_mqa.weight`, { rows: headDim, columns });
  return {
    query: isShort
      ? checker.matrix(`${at}attn_q_b.weight`, { rows: queryRows, columns: queryLength })
      : checker.matrix(`${at}attn_q.weight`, { rows: queryRows, columns }),
    key: both,
    value: rowsOf(both, 0, length),
    latent: {
      queryDown: isShort
        ? {
          matrix: checker.matrix(`${at}attn_q_a.weight`, { rows: queryLength, columns }),
          norm: checker.vector(`${at}attn_q_a_norm.weight`, queryLength),
        }
        : null,
      norm: checker.vector(`${at}attn_kv_a_norm.weight`, length),
      ...family.normalizesTurnedPart && {
        turnedNorm: checker.vector(`${at}attn_k_norm.weight`, turnedDim),
      },
      ...upTensors(reader, latent),
      ...indexerTensors(reader, latent),
    },
  };
}

/** Where all keys are attended to, or those that a layer before has chosen, they are no use. */
function indexerTensors(
  { checker, family, config, at, index }: LayerReader,
  { queryLength }: LatentConfig,
): Pick<LatentTensors, "indexer"> {
  const { indexer, embeddingLength: columns } = config;
  if (indexer === undefined || config.layers[index].choosesKeys !== "own") {
    if (family.indexer !== null) checker.leave(...INDEXER.map((name) => `${at}indexer.${name}`));
    return {};
  }
  const { headCount, headDim } = indexer;
  const matrix = (name: string, rows: number, columns: number) =>
    checker.matrix(`${at}indexer.${name}.weight`, { rows, columns });
  return {
    indexer: {
      query: matrix("attn_q_b", headCount * headDim, queryLength),
      key: matrix("attn_k", headDim, columns),
      keyNorm: {
        weight: checker.vector(`${at}indexer.k_norm.weight`, headDim),
        bias: checker.vector(`${at}indexer.k_norm.bias`, headDim),
      },
      weights: matrix("proj", headCount, columns),
    },
  };
}

function upTensors(
  { checker, config: { headCount: count, layers }, at }: LayerReader,
  { length, plainDim, valueDim }: LatentConfig,
): Pick<LatentTensors, "keyUp" | "isKeyUpTransposed" | "valueUp"> {
  // All layers that attend are like the first.
  const first = Math.max(0, layers.findIndex(({ attends }) => attends !== false));
  if (!checker.has(`blk.${first}.attn_k_b.weight`)) {
    const step = plainDim + valueDim;
    const matrix = checker.matrix(`${at}attn_kv_b.weight`, { rows: count * step, columns: length });
    return {
      keyUp: { matrix, step, start: 0, count: plainDim },
      isKeyUpTransposed: true,
      valueUp: { matrix, step, start: plainDim, count: valueDim },
    };
  }
  const keys = { rows: length, columns: plainDim, count };
  const values = { rows: valueDim, columns: length, count };
  const whole = (name: string, shape: typeof keys): HeadRows => {
    const matrix = checker.matrix(`${at}${name}.weight`, shape);
    return { matrix, step: shape.rows, start: 0, count: shape.rows };
  };
  return {
    keyUp: whole("attn_k_b", keys),
    isKeyUpTransposed: false,
    valueUp: whole("attn_v_b", values),
  };
}
