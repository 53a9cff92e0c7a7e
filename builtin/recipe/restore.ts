/**
 * What the trainer goes on from when no checkpoint is left: the weights and the vocabulary of a
 * model's file, as `deno task builtin:restore --out FOLDER [--model FILE]` finds them there.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  getNumber,
  type GgufFile,
  openGguf,
  storedMetadata,
  TensorReader,
  writeGguf,
} from "../../src/gguf/mod.ts";
import { quantizeFile } from "../../src/quantize/mod.ts";
import type { Shape } from "./model_file.ts";

const BYTES_OF_FLOAT = 4;

/**
 * Writes weights.f32 and weights.json as train.py does, and tokenizer.gguf as generate.ts does:
 * export.ts makes the same file of them again.
 */
export async function restore(model: string, out: string): Promise<void> {
  Deno.mkdirSync(out, { recursive: true });
  const plain = join(out, "restored.gguf");
  await quantizeFile({ input: model, out: plain, quant: "F32" });
  const file = openGguf(plain);
  writeWeights(file, out);
  const metadata = storedMetadata(file).filter(([key]) => key.startsWith("tokenizer."));
  await writeGguf(join(out, "tokenizer.gguf"), { metadata, tensors: [] });
  Deno.removeSync(plain);
}

function writeWeights(file: GgufFile, out: string): void {
  using reader = TensorReader.open(file);
  using weights = Deno.openSync(join(out, "weights.f32"), {
    ...{ write: true, create: true, truncate: true },
  });
  let offset = 0;
  const tensors = [...file.tensors.values()].map((tensor) => {
    const bytes = reader.readAll(tensor);
    weights.writeSync(bytes);
    const placed = { name: tensor.name, dims: tensor.dims, offset };
    offset += bytes.length / BYTES_OF_FLOAT;
    return placed;
  });
  const shape = shapeOf(file.metadata);
  Deno.writeTextFileSync(join(out, "weights.json"), JSON.stringify({ shape, tensors }));
}

/** What `modelMetadata` was made of. */
function shapeOf(metadata: GgufFile["metadata"]): Shape {
  const number = (key: string) => getNumber(metadata, `bamboo.${key}`);
  return {
    width: number("embedding_length"),
    layers: number("block_count"),
    heads: number("attention.head_count"),
    kv_heads: number("attention.head_count_kv"),
    neurons: number("feed_forward_length"),
    vocabulary: number("vocab_size"),
    context: number("context_length"),
    rope_base: number("rope.freq_base"),
    epsilon: number("attention.layer_norm_rms_epsilon"),
  };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { model: { type: "string" }, out: { type: "string" } },
  });
  if (!values.out) throw new Error("Cannot go on without --out");
  const builtIn = fileURLToPath(new URL("../model.gguf", import.meta.url));
  await restore(values.model ?? builtIn, values.out);
}
