/**
 * What a file of an adapter (LoRA) says: pairs of low-rank matrices, each for a tensor of a model.
 * Knows what must fit within the file, and nothing of the model that it is for.
 */
import { ModelFormatError, UnsupportedModelError } from "../base/errors.ts";
import {
  getNumber,
  getString,
  type GgufFile,
  type GgufTensor,
  openedAs,
  openGguf,
} from "../gguf/mod.ts";
import { DEQUANTIZED_TYPES, isAdapter, isControlVector } from "../model/mod.ts";

/** The two matrices for one tensor; their shapes are checked where the tensor is known. */
export interface AdapterPair {
  /** [rank, columns]; of an embedding table [rows, rank]. */
  readonly a: GgufTensor;
  /** [rows, rank]; of an embedding table [columns, rank]. */
  readonly b: GgufTensor;
  readonly rank: number;
}

/** An adapter, read and checked as far as it can be by itself. */
export interface Adapter {
  readonly file: GgufFile;
  /** The architecture of the models that it changes. */
  readonly architecture: string;
  /** Divided by the rank it multiplies every product; 0: nothing does. */
  readonly alpha: number;
  /** By the name of the tensor that they change. */
  readonly pairs: ReadonlyMap<string, AdapterPair>;
  /** Norms that the file has beside, which llama.cpp does not use and this version does not. */
  readonly ignored: readonly string[];
}

const [ENDING_A, ENDING_B] = [".lora_a", ".lora_b"];
/** Vectors that the trainer kept whole. */
const NORM = "_norm.weight";

/**
 * Opens an adapter's file.
 * @throws {ModelFormatError} when it is damaged, no adapter, or half of a pair is missing.
 * @throws {UnsupportedModelError} when it is an adapter of another kind.
 */
export function openAdapter(path: string): Adapter {
  return openedAs("adapter", () => readAdapter(openGguf(path)));
}

/** The same, of a header. */
export function readAdapter(file: GgufFile): Adapter {
  const { metadata } = file;
  if (!isAdapter(file)) {
    const what = metadata.has("general.architecture") ? "it is a model" : "it is none";
    throw wrong(file, `${what}: give a .gguf file that convert_lora_to_gguf.py made`);
  }
  refuseOtherKinds(file);
  const alpha = getNumber(metadata, "adapter.lora.alpha", 0);
  if (!Number.isFinite(alpha)) throw wrong(file, `its alpha is ${alpha}: convert it again`);
  const ignored: string[] = [];
  const halves = new Map<string, { a?: GgufTensor; b?: GgufTensor }>();
  for (const tensor of file.tensors.values()) {
    const { name } = tensor;
    if (name.endsWith(ENDING_A)) {
      const target = name.slice(0, -ENDING_A.length);
      halves.set(target, { ...halves.get(target), a: tensor });
    } else if (name.endsWith(ENDING_B)) {
      const target = name.slice(0, -ENDING_B.length);
      halves.set(target, { ...halves.get(target), b: tensor });
    } else if (name.endsWith(NORM)) ignored.push(name);
    else {
      throw wrong(file, `its tensor "${name}" is half of no pair: convert the adapter again`);
    }
  }
  const pairs = new Map(
    [...halves].map(([name, { a, b }]) => [name, pairOf(file, name, { a, b })]),
  );
  if (pairs.size === 0) throw wrong(file, "it changes no tensor: convert the adapter again");
  return { file, architecture: getString(metadata, "general.architecture"), alpha, pairs, ignored };
}

/** True for tensors whose rows are looked up: their pairs lie the other way round. */
export function isLookedUp(name: string): boolean {
  return name.endsWith("token_embd.weight");
}

function refuseOtherKinds({ metadata }: GgufFile): void {
  const kind = metadata.get("adapter.type");
  if (isControlVector({ metadata })) {
    throw new UnsupportedModelError(
      "Cannot use this file as an adapter: it is a control vector: give it with --control-vector",
    );
  }
  if (kind !== "lora") {
    throw new UnsupportedModelError(
      `Cannot use this adapter: it is of the kind ${JSON.stringify(kind) ?? "unknown"}, and this ` +
        'version knows "lora": use one of low-rank matrices',
    );
  }
  if (!metadata.has("adapter.alora.invocation_tokens")) return;
  throw new UnsupportedModelError(
    "Cannot use this adapter: it works only behind certain tokens (aLoRA), and this version puts " +
      "adapters into the weights: use a LoRA adapter",
  );
}

function pairOf(
  file: GgufFile,
  name: string,
  { a, b }: { readonly a?: GgufTensor; readonly b?: GgufTensor },
): AdapterPair {
  if (a === undefined || b === undefined) {
    const missing = name + (a === undefined ? ENDING_A : ENDING_B);
    throw wrong(file, `"${missing}" is missing: get the file again or convert it again`);
  }
  for (const { name, type, dims } of [a, b]) {
    if (!DEQUANTIZED_TYPES.includes(type)) {
      throw new UnsupportedModelError(
        `Cannot use this adapter: its tensor "${name}" has the type ${type}, and this version ` +
          `reads ${DEQUANTIZED_TYPES.join(", ")}: convert it with --outtype f16`,
      );
    }
    if (dims.length < 2 || dims.length > 3) {
      throw wrong(file, `"${name}" has ${dims.length} dimensions, not two, or three`);
    }
  }
  const [rank] = b.dims;
  const ofA = isLookedUp(name) ? a.dims[0] : a.dims[1];
  if (rank >= 1 && rank === ofA) return { a, b, rank };
  throw wrong(
    file,
    `"${a.name}" has the rank ${ofA}, "${b.name}" the rank ${rank}: both must have the same, at ` +
      "least 1: convert the adapter again",
  );
}

function wrong(file: GgufFile, what: string): ModelFormatError {
  const path = file.parts[0]?.path;
  return new ModelFormatError(`Cannot use this file as an adapter: ${what}`, {
    offsetBytes: 0,
    path,
  });
}
