/** Control vectors of tiny models with random directions, from a seed. */
import { encodeGguf, type MetadataEntry, parseGguf, text } from "../../src/gguf/mod.ts";
import { encodeWeights, type WeightType } from "../../src/quantize/mod.ts";
import { makeFloats, Rng } from "./rng.ts";

export interface TinyControlVectorOptions {
  /** Left out: all but the first one. */
  readonly layers?: readonly number[];
  /** Left out: as many as the model's stream has. */
  readonly length?: number;
  readonly seed?: number;
  readonly type?: WeightType;
  /** Entries that replace or add to the file's metadata. */
  readonly metadata?: readonly MetadataEntry[];
  /** What becomes of each direction before it is written. */
  readonly change?: (tensor: TinyDirection) => TinyDirection;
}

/** A direction as it is in the file. */
export interface TinyDirection {
  readonly name: string;
  readonly dims: readonly number[];
  readonly values: Float32Array<ArrayBuffer>;
}

/** The bytes of a control vector's file for the model in `model`. Same options, same bytes. */
export function tinyControlVector(
  model: Uint8Array<ArrayBuffer>,
  options: TinyControlVectorOptions = {},
): Uint8Array<ArrayBuffer> {
  const { metadata: own } = parseGguf(model);
  const architecture = String(own.get("general.architecture"));
  const number = (key: string) => Number(own.get(`${architecture}.${key}`));
  const { length = number("embedding_length"), seed = 7, type = "F32" } = options;
  const all = Array.from({ length: number("block_count") - 1 }, (_, index) => index + 1);
  const rng = new Rng(seed);
  const tensors = (options.layers ?? all).map((layer) => {
    const values = makeFloats(length, () => 0.5 * rng.normal());
    const direction = { name: `direction.${layer}`, dims: [length], values };
    return options.change === undefined ? direction : options.change(direction);
  });
  const metadata = new Map<string, MetadataEntry[1]>([
    ["general.architecture", text("controlvector")],
    ["controlvector.model_hint", text(architecture)],
    ...options.metadata ?? [],
  ]);
  return encodeGguf({
    metadata: [...metadata],
    tensors: tensors.map(({ name, dims, values }) => {
      return { name, dims, type, pieces: () => [encodeWeights(type, values)] };
    }),
  });
}
