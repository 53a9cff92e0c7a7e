/**
 * Makes the model's file of what the trainer left: `deno task builtin:export --weights FOLDER
 * --tokenizer FILE --out FILE [--type Q8_0]`.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openGguf, storedMetadata, type TensorSpec, writeGguf } from "../../src/gguf/mod.ts";
import { elementCount } from "../../src/model/dtypes.ts";
import { type Quant, quantizeFile, QUANTS } from "../../src/quantize/mod.ts";
import { modelMetadata, type Shape } from "./model_file.ts";

/** What train.py writes beside the weights: where each tensor lies, counted in floats. */
interface Weights {
  readonly shape: Shape;
  readonly tensors: readonly { name: string; dims: number[]; offset: number }[];
}

/** What a model's file is made of. */
export interface ExportOptions {
  /** Folder with weights.f32 and weights.json. */
  readonly weights: string;
  /** GGUF file that has the vocabulary. */
  readonly tokenizer: string;
  readonly out: string;
  readonly quant: Quant;
}

/** Writes the model; returns the file's bytes. */
export async function exportModel(options: ExportOptions): Promise<number> {
  const { weights, tokenizer, out, quant } = options;
  const plain = `${out}.f32`;
  await writePlain(weights, tokenizer, plain);
  const { bytes } = await quantizeFile({ input: plain, out, quant });
  Deno.removeSync(plain);
  return bytes;
}

/** The model in F32. */
async function writePlain(folder: string, tokenizer: string, out: string): Promise<void> {
  const { shape, tensors }: Weights = JSON.parse(
    Deno.readTextFileSync(join(folder, "weights.json")),
  );
  const floats = Deno.readFileSync(join(folder, "weights.f32"));
  await writeGguf(out, {
    metadata: [...modelMetadata(shape), ...storedMetadata(openGguf(tokenizer))],
    tensors: tensors.map(({ name, dims, offset }): TensorSpec => {
      const count = elementCount(dims);
      const bytes = floats.subarray(4 * offset, 4 * (offset + count));
      return { name, type: "F32", dims, pieces: () => [bytes] };
    }),
  });
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      weights: { type: "string" },
      tokenizer: { type: "string" },
      out: { type: "string", default: "builtin/model.gguf" },
      type: { type: "string", default: "Q8_0" },
    },
  });
  const { weights, tokenizer, out, type } = values;
  if (!weights || !tokenizer) throw new Error("Cannot go on without --weights and --tokenizer");
  const quant = QUANTS.find((each) => each === type);
  if (!quant) throw new Error(`Cannot write the type "${type}": one of ${QUANTS.join(", ")}`);
  console.log(`${out}: ${await exportModel({ weights, tokenizer, out, quant })} bytes`);
}
