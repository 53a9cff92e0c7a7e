/**
 * Keys and tensors of rows that several tokens name together (Qwen 4). Knows names and shapes;
 * reads no weights.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { NgramConfig } from "../gated_types.ts";
import type { LayerTensors, ModelConfig } from "../types.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import type { LayerReader } from "./layer_reader.ts";

/** More than any model has. */
const LENGTH_MAX = 8;
const HEADS_MAX = 64;
const TAPS_MAX = 32;
/** Rows are counted in 31 bits. */
const ROWS_MAX = 2 ** 31 - 1;
const LAYERS = "ple.layers";
const TABLE = "per_layer_token_embd.weight";

type Input = Pick<ModelConfig, "embeddingLength" | "layers" | "vocabSize">;

/**
 * Nothing: the file names no layer that has them.
 * @throws {ModelFormatError} when a key is missing, out of range, or contradicts another.
 * @throws {UnsupportedModelError} when several layers have them.
 */
export function readNgrams(
  keys: Hyperparameters,
  { embeddingLength, layers, vocabSize }: Input,
): Pick<ModelConfig, "ngrams"> {
  const said = numbersOf(keys, LAYERS);
  if (said === null || said.length === 0) return {};
  if (said.length > 1) {
    throw new UnsupportedModelError(
      `Cannot run this model: ${said.length} of its layers look up what several tokens name, ` +
        "this version knows one: use another model",
    );
  }
  const layer = Number(said[0]);
  if (layers[layer]?.hasStates !== true) {
    throw keys.wrong(LAYERS, "the number of a layer that keeps a state");
  }
  const of = (name: string) => `ple.${name}`;
  const length = keys.integer(of("ngram_size"), { min: 2, max: LENGTH_MAX });
  const perLength = keys.integer(of("heads_per_ngram"), { min: 1, max: HEADS_MAX });
  const count = (length - 1) * perLength;
  const rowLength = keys.integer("embedding_length_per_layer_input", { min: 1 });
  if (count > HEADS_MAX || count * rowLength !== embeddingLength) {
    throw keys.wrong(
      "embedding_length_per_layer_input",
      `the width, ${embeddingLength}, over ${count} heads, of which there are ${HEADS_MAX} at most`,
    );
  }
  const heads = readHeads(keys, count);
  const token = (name: string, absent?: number) =>
    keys.integer(of(name), { min: 0, max: vocabSize - 1, absent });
  const endToken = token("eos_token_id");
  return {
    ngrams: {
      ...{ layer, length, heads, rowLength, endToken },
      multipliers: readMultipliers(keys, length),
      tableRows: Math.max(...heads.map((head) => head.start + head.count)),
      givenToken: token("image_token_id", 0) || endToken,
      taps: keys.integer(of("conv_kernel"), { min: 1, max: TAPS_MAX }),
    },
  };
}

function readHeads(keys: Hyperparameters, count: number): NgramConfig["heads"] {
  const starts = numbersOf(keys, "ple.head_offsets");
  const counts = numbersOf(keys, "ple.head_vocab_sizes");
  return Array.from({ length: count }, (_, head) => {
    const start = Number(starts?.[head] ?? NaN), own = Number(counts?.[head] ?? NaN);
    if (!Number.isInteger(own) || own < 1 || own > ROWS_MAX) {
      throw keys.wrong("ple.head_vocab_sizes", `a list of ${count} numbers of rows`);
    }
    if (!Number.isInteger(start) || start < 0 || start + own > ROWS_MAX) {
      throw keys.wrong("ple.head_offsets", `a list of ${count} numbers of rows`);
    }
    return { start, count: own };
  });
}

/** 16 bits at a time: products of such numbers, and their sums, are exact. */
function readMultipliers(keys: Hyperparameters, length: number): Float64Array {
  const key = "ple.layer_multipliers";
  const said = numbersOf(keys, key);
  if (said === null || said.length < length) throw keys.wrong(key, `a list of ${length} or more`);
  return Float64Array.from({ length: 4 * length }, (_, i) => {
    const value = said[i >> 2];
    if (typeof value === "number" && !Number.isSafeInteger(value)) {
      throw keys.wrong(key, "a list of integers of 64 bits");
    }
    return Number(BigInt.asUintN(64, BigInt(value)) >> BigInt(16 * (i & 3)) & 0xffffn);
  });
}

/** A list of numbers; null: there is none. */
function numbersOf(keys: Hyperparameters, key: string): readonly (number | bigint)[] | null {
  const said = keys.value(key);
  if (said === undefined) return null;
  const list = typeof said === "object" ? Array.from(said as ArrayLike<unknown>) : [said];
  if (list.every((each) => typeof each === "number" || typeof each === "bigint")) return list;
  throw keys.wrong(key, "a list of numbers");
}

/** Of the layer that has them. */
export function ngramTensors(
  { checker, config, at, index }: LayerReader,
): Pick<LayerTensors, "ngrams"> {
  const { ngrams, embeddingLength: width, gatedStreams } = config;
  if (ngrams === undefined || ngrams.layer !== index) return {};
  const streams = gatedStreams!.streamCount, all = streams * width;
  const norm = (name: string) => checker.flatVector(`${at}ple_norm_${name}.weight`, width, streams);
  // Files have more rows than heads name.
  const rows = Math.max(ngrams.tableRows, checker.rowCount(TABLE) ?? 0);
  return {
    ngrams: {
      table: checker.matrix(TABLE, { rows, columns: ngrams.rowLength }),
      key: checker.matrix(`${at}ple_key.weight`, { rows: all, columns: width }),
      value: checker.matrix(`${at}ple_value.weight`, { rows: width, columns: width }),
      ...{ keyNorm: norm("key"), queryNorm: norm("query"), valueNorm: norm("conv") },
      convolution: checker.vector(`${at}ple_conv1d.weight`, ngrams.taps, all),
    },
  };
}
