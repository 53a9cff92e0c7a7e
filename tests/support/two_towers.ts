/** Two towers of one file (DeepSeek-OCR's, DeepSeek-OCR 2's) by the reference, and its tables. */
import { parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import {
  dequantize,
  type ImageConfig,
  readVision,
  type TowerInput,
  type VisionModel,
} from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import type { ImageTables } from "../../src/vision/mod.ts";

/** Tables of a file's images, of both towers. */
export function tablesOfBoth(
  bytes: Uint8Array<ArrayBuffer>,
  { positions, second }: ImageConfig,
): ImageTables {
  const file = parseGguf(bytes);
  const floats = (name: string) => {
    const tensor = file.tensors.get(name)!;
    return dequantize(tensor.type, TensorReader.ofBytes(bytes).readAll(tensor));
  };
  return {
    ...{ positions: floats(positions!.tensor), classTokens: null, patchBias: null },
    second: {
      positions: second!.positions && floats(second!.positions.tensor),
      classTokens: second!.classTokens === null ? null : floats(second!.classTokens),
      ...second!.queries && { queries: second!.queries.map(({ tensor }) => floats(tensor)) },
    },
  };
}

/** Rows of a text model, [kept, outputLength]; models: left out: as the file says. */
export function seenByBoth(
  bytes: Uint8Array<ArrayBuffer>,
  input: TowerInput,
  models?: Pick<VisionModel, "description" | "second">,
): Float64Array {
  const file = parseGguf(bytes);
  const { description, second } = models ?? readVision(file);
  const reader = () => TensorReader.ofBytes(bytes);
  const rows = new ReferenceModel(file, { description, reader: reader() }).see(input);
  const { count, kept, added } = input.second!;
  const d = second!.config.embeddingLength;
  const width = rows.length / kept;
  const patches = new Float32Array(count * d);
  for (let row = 0; row < kept; row++) {
    patches.set(rows.subarray(row * width, row * width + d), row * d);
  }
  const seen = new ReferenceModel(file, { description: second!, reader: reader() })
    .see({ count, kept, added, patches, positions: null });
  const own = width - d;
  if (own === 0) return seen;
  return seen.map((value, i) => value + rows[Math.floor(i / own) * width + d + i % own]);
}
