/**
 * Whether every weight of a file is a number. GGUF has no checksums: a flipped bit in a scale can
 * make a NaN or an infinity, which spreads to every answer. Reads all of the file, a piece at a
 * time; what is wrong but finite it cannot see.
 */
import { Turns } from "../base/turns.ts";
import { ModelFormatError } from "../base/errors.ts";
import { MiB } from "../base/units.ts";
import { type GgufFile, type GgufTensor, TensorReader } from "../gguf/mod.ts";
import { DEQUANTIZED_TYPES, dequantizeInto } from "./quants/dequantize.ts";
import { dtypeByName } from "./dtypes.ts";

/** A multiple of most blocks' bytes would be larger; pieces are cut down to whole blocks. */
const PIECE_BYTES = MiB;

export interface CheckTensorsOptions {
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
}

/** What was looked at. */
export interface CheckedTensors {
  readonly tensors: number;
  /** Tensors of types that this version does not compute with: not looked at. */
  readonly skipped: readonly string[];
}

/**
 * Looks at every weight of a file whose tensors all have bytes of their own.
 * @throws {ModelFormatError} at the first weight that is no finite number.
 * @throws the signal's reason.
 */
export async function checkTensors(
  file: GgufFile,
  { onProgress, signal }: CheckTensorsOptions = {},
): Promise<CheckedTensors> {
  using reader = TensorReader.open(file);
  const all = [...file.tensors.values()];
  const total = all.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const turns = new Turns(signal);
  const skipped: string[] = [];
  let done = 0;
  for (const tensor of all) {
    if (!DEQUANTIZED_TYPES.includes(tensor.type)) {
      skipped.push(tensor.name);
      done += tensor.sizeBytes;
      continue;
    }
    for (const doneOfTensor of checkPieces(file, tensor, reader)) {
      onProgress?.(done + doneOfTensor, total);
      if (turns.isDue()) await turns.give();
    }
    done += tensor.sizeBytes;
  }
  return { tensors: all.length - skipped.length, skipped };
}

/** Checks a tensor piece by piece; gives how many bytes are done. */
function* checkPieces(file: GgufFile, tensor: GgufTensor, reader: TensorReader): Iterable<number> {
  const { blockBytes, blockElements } = dtypeByName(tensor.type)!;
  const pieceBlocks = Math.floor(PIECE_BYTES / blockBytes);
  const bytes = new Uint8Array(Math.min(tensor.sizeBytes, pieceBlocks * blockBytes));
  const weights = new Float32Array(bytes.length / blockBytes * blockElements);
  for (let begin = 0; begin < tensor.sizeBytes; begin += bytes.length) {
    const length = Math.min(bytes.length, tensor.sizeBytes - begin);
    const piece = bytes.subarray(0, length);
    reader.read(tensor, begin, piece);
    const values = weights.subarray(0, length / blockBytes * blockElements);
    dequantizeInto(tensor.type, piece, values);
    const wrong = values.findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0) {
      const offsetBytes = begin + Math.floor(wrong / blockElements) * blockBytes;
      throw notANumber(file, tensor, { offsetBytes, value: values[wrong] });
    }
    yield begin + length;
  }
}

function notANumber(
  { parts }: GgufFile,
  { name, type, part, offsetBytes: begin }: GgufTensor,
  { offsetBytes, value }: { offsetBytes: number; value: number },
): ModelFormatError {
  return new ModelFormatError(
    `Cannot use tensor "${name}" (${type}): a weight of it is ${value}: the file was damaged: ` +
      "download it again",
    { offsetBytes: begin + offsetBytes, path: parts[part].path },
  );
}
