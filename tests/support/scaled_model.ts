/** Models of NVFP4 with the factors of their tensors beside them, as converters write them. */
import { encodeGguf, parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { changedMetadata, copiedPieces } from "../../src/gguf/rewrite.ts";

/** The same weights times factors, of which experts have one each. */
export function withTensorScales(model: Uint8Array): Uint8Array<ArrayBuffer> {
  const file = parseGguf(model);
  using reader = TensorReader.ofBytes(model);
  const own = [...file.tensors.values()].map((tensor) => ({
    ...{ name: tensor.name, type: tensor.type, dims: tensor.dims },
    pieces: () => [...copiedPieces(reader, tensor, new Uint8Array(tensor.sizeBytes))],
  }));
  const factors = own.filter(({ name, type }) => type === "NVFP4" && name.startsWith("blk."))
    .flatMap(({ name, dims }, index) => {
      const count = dims[2] ?? 1;
      const first = 1.2 - 0.13 * (index % 5);
      const values = Float32Array.from({ length: count }, (_, i) => first - 0.1 * i);
      const common = { type: "F32", dims: [count] };
      const [scale, inputScale] = [values, new Float32Array(count).fill(0.01)]
        .map((own) => () => [new Uint8Array(own.buffer)]);
      return [
        { ...common, name: name.replace(/weight$/, "scale"), pieces: scale },
        { ...common, name: name.replace(/weight$/, "input_scale"), pieces: inputScale },
      ];
    });
  return encodeGguf({ metadata: changedMetadata(file, []), tensors: [...own, ...factors] });
}
