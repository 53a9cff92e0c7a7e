/** Layers of a tower: names of tensors, each checked. Knows no projectors. */
import type { GgufFile } from "../../gguf/mod.ts";
import { rowsOf } from "../read/layer_reader.ts";
import type { TensorChecker } from "../read/tensor_checker.ts";
import type {
  HeadNormTensors,
  LayerTensors,
  MatrixTensor,
  NormTensors,
  ProductLimits,
  VectorTensor,
} from "../types.ts";
import type { VisionKind } from "./vision_kind.ts";

/** What reading a tower's tensors takes. */
export interface TowerReader {
  readonly file: GgufFile;
  readonly checker: TensorChecker;
  readonly kind: VisionKind;
  /** What names of tensors begin with: "v", or "a" where it hears. */
  readonly prefix: "v" | "a";
  /** Width of the residual stream, d. */
  readonly width: number;
  readonly heads: number;
  /** Of keys and values. */
  readonly kvHeads: number;
  readonly headDim: number;
}

/** Whatever a layer of a tower has not. */
export const NOTHING = {
  ...{ latent: null, attentionSinks: null, convolution: null, attentionGate: null },
  ...{ stateSpace: null },
  ...{ input: null, altUp: null, outputScale: null },
};

/** A matrix with its bias, if there is one. */
export function biasedMatrix(
  { checker, kind }: Pick<TowerReader, "checker" | "kind">,
  name: string,
  shape: { readonly rows: number; readonly columns: number },
): MatrixTensor {
  const limits = kind.mayLimitProducts ? readLimits(checker, name) : null;
  return {
    ...checker.matrix(`${name}.weight`, shape),
    bias: checker.has(`${name}.bias`) ? checker.vector(`${name}.bias`, shape.rows) : null,
    ...limits && { limits },
  };
}

/** Of a matrix's products; null: there are none. */
function readLimits(checker: TensorChecker, name: string): ProductLimits | null {
  const limit = (of: string) =>
    checker.has(`${name}.${of}`) ? checker.vector(`${name}.${of}`, 1) : null;
  const limits = {
    ...{ inputMin: limit("input_min"), inputMax: limit("input_max") },
    ...{ outputMin: limit("output_min"), outputMax: limit("output_max") },
  };
  return Object.values(limits).some((each) => each !== null) ? limits : null;
}

/** A norm with its bias, if there is one. */
export function readNorm(
  { checker }: Pick<TowerReader, "checker">,
  name: string,
  length: number,
): NormTensors {
  return {
    weight: checker.vector(`${name}.weight`, length),
    bias: checker.has(`${name}.bias`) ? checker.vector(`${name}.bias`, length) : null,
  };
}

/** Neurons of the tower's layers: the rows of the first one's matrix. */
export function neuronCount(reader: TowerReader): number {
  const { up } = neuronNames(reader, `${reader.prefix}.blk.0.`);
  return reader.checker.rowCount(`${up}.weight`) ?? 1;
}

/** True where neurons of all layers have gates: all are like the first. */
export function isGated({ checker, prefix }: TowerReader): boolean {
  return checker.has(`${prefix}.blk.0.ffn_gate.weight`);
}

/** The tensors of layer `index`. */
export function readLayer(reader: TowerReader, index: number): LayerTensors {
  const { checker, kind, prefix, width: d, heads, kvHeads, headDim } = reader;
  const at = `${prefix}.blk.${index}.`;
  const neurons = neuronCount(reader);
  const { up, down } = neuronNames(reader, at);
  const gains = (name: string): VectorTensor | null =>
    checker.has(`${prefix}.blk.0.${name}`) ? checker.vector(at + name, d) : null;
  const [attentionGains, feedForwardGains] = [gains("ls1.weight"), gains("ls2.weight")];
  return {
    ...NOTHING,
    attentionNorm: readNorm(reader, `${at}ln1`, d),
    ...queryKeyValue(reader, at),
    queryNorm: headNorm(reader, `${at}attn_q_norm.weight`, heads),
    keyNorm: headNorm(reader, `${at}attn_k_norm.weight`, kvHeads),
    valueNorm: kind.normalizesValues ? { span: "head", weight: null } : null,
    attentionPostNorm: normIfThere(reader, `${at}attn_post_norm`),
    feedForwardPostNorm: normIfThere(reader, `${at}ffn_post_norm`),
    attentionOutput: biasedMatrix(reader, `${at}attn_out`, { rows: d, columns: heads * headDim }),
    feedForwardNorm: readNorm(reader, `${at}ln2`, d),
    feedForward: {
      kind: "dense",
      gate: isGated(reader)
        ? biasedMatrix(reader, `${at}ffn_gate`, { rows: neurons, columns: d })
        : null,
      up: biasedMatrix(reader, up, { rows: neurons, columns: d }),
      down: biasedMatrix(reader, down, { rows: d, columns: neurons }),
      isDownTransposed: false,
      predictor: null,
    },
    ...attentionGains && { attentionGains },
    ...feedForwardGains && { feedForwardGains },
  };
}

/** A layer of attention alone. */
export function readAttention(reader: TowerReader, at: string): LayerTensors {
  const { width: d, heads, headDim } = reader;
  return {
    ...NOTHING,
    attentionNorm: readNorm(reader, `${at}ln1`, d),
    ...queryKeyValue(reader, at),
    ...{ queryNorm: null, keyNorm: null, valueNorm: null, attentionPostNorm: null },
    attentionOutput: biasedMatrix(reader, `${at}attn_out`, { rows: d, columns: heads * headDim }),
    ...{ feedForwardNorm: null, feedForward: null, feedForwardPostNorm: null },
  };
}

function normIfThere(reader: TowerReader, name: string): NormTensors | null {
  return reader.checker.has(`${name}.weight`) ? readNorm(reader, name, reader.width) : null;
}

/** Separate tensors, or one with the rows of all three. */
function queryKeyValue(
  reader: TowerReader,
  at: string,
): Pick<LayerTensors, "query" | "key" | "value"> {
  const { checker, width: columns, heads, kvHeads, headDim } = reader;
  const rows = heads * headDim;
  const kvRows = kvHeads * headDim;
  if (!checker.has(`${at}attn_qkv.weight`)) {
    return {
      query: biasedMatrix(reader, `${at}attn_q`, { rows, columns }),
      key: biasedMatrix(reader, `${at}attn_k`, { rows: kvRows, columns }),
      value: biasedMatrix(reader, `${at}attn_v`, { rows: kvRows, columns }),
    };
  }
  const fused = biasedMatrix(reader, `${at}attn_qkv`, { rows: rows + 2 * kvRows, columns });
  return {
    query: rowsOf(fused, 0, rows),
    key: rowsOf(fused, rows, kvRows),
    value: rowsOf(fused, rows + kvRows, kvRows),
  };
}

/** Of each head, or of all of them together, as the tensor's length says. */
function headNorm(
  { checker, file, headDim }: TowerReader,
  name: string,
  heads: number,
): HeadNormTensors | null {
  if (!checker.has(name)) return null;
  const isOfHead = file.tensors.get(name)?.dims[0] === headDim;
  return {
    span: isOfHead ? "head" : "projection",
    weight: checker.vector(name, isOfHead ? headDim : heads * headDim),
  };
}

/** What up and down are called: they are exchanged where down reads the stream. */
function neuronNames({ file, kind, width }: TowerReader, at: string) {
  const isSwapped = kind.mayBeSwapped &&
    file.tensors.get(`${at}ffn_down.weight`)?.dims[0] === width;
  const [up, down] = [`${at}ffn_up`, `${at}ffn_down`];
  return isSwapped ? { up: down, down: up } : { up, down };
}
