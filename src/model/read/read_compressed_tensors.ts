/** Tensor names of heads whose keys are compressed. Knows names and shapes; reads no weights. */
import type { LayerReader } from "./layer_reader.ts";
import type { CompressorTensors } from "../compressed_types.ts";
import type { CompressedTensors, HeadNormTensors } from "../types.ts";

/** Of keys of so few tokens an indexer chooses some. */
const CHOSEN_RATIO = 4;

/**
 * A layer's tensors for attention, checked.
 * @throws {ModelFormatError | UnsupportedModelError} as `readTensors` does.
 */
export function compressedTensors(reader: LayerReader) {
  const { checker, config, at } = reader;
  const { embeddingLength: width, headCount, headDim } = config;
  const { queryLength, groupCount, groupLength } = config.compression!;
  const matrix = (name: string, rows: number, columns: number) =>
    checker.matrix(`${at}${name}.weight`, { rows, columns });
  const key = matrix("attn_kv", headDim, width);
  const groups = groupCount * groupLength;
  const queryNorm: HeadNormTensors = { span: "head", weight: null };
  const weight = checker.vector(`${at}attn_kv_a_norm.weight`, headDim);
  const keyNorm: HeadNormTensors = { span: "head", weight };
  const compressed: CompressedTensors = {
    queryDown: {
      matrix: matrix("attn_q_a", queryLength, width),
      norm: checker.vector(`${at}attn_q_a_norm.weight`, queryLength),
    },
    groups: matrix("attn_output_a", groups, headCount / groupCount * headDim),
    ...compressors(reader),
  };
  return {
    query: matrix("attn_q_b", headCount * headDim, queryLength),
    ...{ key, value: key, latent: null, queryNorm, keyNorm, valueNorm: null, compressed },
    attentionSinks: checker.vector(`${at}attn_sinks.weight`, headCount),
    ...{ convolution: null, attentionGate: null },
    attentionOutput: matrix("attn_output_b", width, groups),
  };
}

function compressors(reader: LayerReader): Pick<CompressedTensors, "keys" | "indexer"> {
  const { checker, config, at, index } = reader;
  const { embeddingLength: columns, headDim } = config;
  const { indexer, queryLength } = config.compression!;
  const ratio = config.layers[index]?.keyRatio;
  if (ratio === undefined) return { keys: null, indexer: null };
  const keys = compressor(reader, { name: "attn_compressor", headDim, ratio });
  if (ratio !== CHOSEN_RATIO) return { keys, indexer: null };
  const rows = indexer.headCount * indexer.headDim;
  const weights = { rows: indexer.headCount, columns };
  return {
    keys,
    indexer: {
      query: checker.matrix(`${at}indexer.attn_q_b.weight`, { rows, columns: queryLength }),
      weights: checker.matrix(`${at}indexer.proj.weight`, weights),
      keys: compressor(reader, { name: "indexer_compressor", headDim: indexer.headDim, ratio }),
    },
  };
}

function compressor(
  { checker, config: { embeddingLength: columns }, at }: LayerReader,
  of: { readonly name: string; readonly headDim: number; readonly ratio: number },
): CompressorTensors {
  const rows = of.ratio === CHOSEN_RATIO ? 2 * of.headDim : of.headDim;
  const name = (part: string) => `${at}${of.name}_${part}.weight`;
  return {
    key: checker.matrix(name("kv"), { rows, columns }),
    gate: checker.matrix(name("gate"), { rows, columns }),
    places: checker.vector(name("ape"), rows, of.ratio),
    norm: checker.vector(name("norm"), of.headDim),
  };
}
