/**
 * A GGUF file with its matrices in another type: tensor by tensor, a few MiB at a time, however
 * large the model is. The header is kept but for the keys that say how the file is stored.
 */
import { UnsupportedModelError } from "../base/errors.ts";
import {
  changedMetadata,
  checkOutput,
  copiedPieces,
  type GgufTensor,
  magicOf,
  openGguf,
  TensorReader,
  type TensorSpec,
  type TypedGgufFile,
  u32,
  writeGguf,
  type WriteOptions,
} from "../gguf/mod.ts";
import { rowBytes } from "../model/dtypes.ts";
import { DEQUANTIZED_TYPES, dequantizeInto } from "../model/mod.ts";
import { chooseTypes, type ChosenType, FILE_TYPES, type Quant } from "./choose_types.ts";
import { encodeWeightsInto, isWeightType, type WeightType } from "./encode.ts";
import { hasLevelsOfE0m4, moveToE0m4 } from "./encode_e0m4.ts";

/** What to make of which file. */
export interface QuantizeOptions extends WriteOptions {
  /** Path of a model; the first part of a split one stands for all. */
  readonly input: string;
  /** Path of the new file; what is there is replaced when the new file is complete. */
  readonly out: string;
  readonly quant: Quant;
  /** Opens the input otherwise than as it lies there, such as with adapters in it. */
  readonly source?: QuantizeSource;
}

/** What is written anew. */
export interface QuantizeSource {
  open(path: string): TypedGgufFile;
  openTensors(file: TypedGgufFile): TensorReader;
}

/** What was made. */
export interface QuantizeResult {
  /** Size of the new file. */
  readonly bytes: number;
  /** Size of the old one, all parts together. */
  readonly inputBytes: number;
  /** Tensors whose rows are no multiple of the wanted type's block. */
  readonly replaced: readonly ReplacedType[];
}

/** A tensor that got another type than it should have. */
export interface ReplacedType extends ChosenType {
  readonly name: string;
  /** Weights in a row. */
  readonly columns: number;
}

/** Weights converted at a time: a multiple of every block. */
const CHUNK_WEIGHTS = 1 << 20;
const CHUNK_BYTES = 4 * CHUNK_WEIGHTS;
/** The largest f16; scales of quantised blocks are f16 too. */
const F16_MAX = 65504;
const QUANTIZATION_VERSION = 2;

const PLAIN: QuantizeSource = { open: openGguf, openTensors: (file) => TensorReader.open(file) };

/**
 * Writes the file.
 * @throws {UsageError} when `out` is the input or a folder.
 * @throws {ModelFormatError} when the input cannot be read.
 * @throws {UnsupportedModelError} when it holds a type that cannot be read here, or a weight that
 *   the new type cannot hold.
 * @throws the signal's reason when it is aborted.
 */
export async function quantizeFile(options: QuantizeOptions): Promise<QuantizeResult> {
  const { input, out, quant, source = PLAIN } = options;
  const file = source.open(input);
  checkOutput(out, file);
  const tensors = [...file.tensors.values()];
  const chosen = chooseTypes(tensors, quant);
  for (const tensor of tensors) checkReadable(tensor, chosen.get(tensor.name)?.type);
  using reader = source.openTensors(file);
  const converter = new Converter(reader);
  const bytes = await writeGguf(out, {
    magic: magicOf(file),
    metadata: changedMetadata(file, [
      ["general.file_type", u32(FILE_TYPES[quant])],
      ["general.quantization_version", u32(QUANTIZATION_VERSION)],
    ]),
    tensors: tensors.map((tensor): TensorSpec => {
      const type = chosen.get(tensor.name)?.type ?? tensor.type;
      const pieces = () => converter.pieces(tensor, type);
      return { name: tensor.name, type, dims: tensor.dims, pieces };
    }),
  }, options);
  const inputBytes = file.parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return { bytes, inputBytes, replaced: replacedTypes(tensors, chosen) };
}

function replacedTypes(
  tensors: readonly GgufTensor[],
  chosen: ReadonlyMap<string, ChosenType>,
): ReplacedType[] {
  return tensors.flatMap(({ name, dims }) => {
    const choice = chosen.get(name);
    if (choice === undefined || choice.type === choice.wanted) return [];
    return [{ ...choice, name, columns: dims[0] }];
  });
}

/** Converts tensors through buffers that are used again for every chunk. */
class Converter {
  readonly #reader: TensorReader;
  readonly #input = new Uint8Array(CHUNK_BYTES);
  readonly #weights = new Float32Array(CHUNK_WEIGHTS);
  readonly #output = new Uint8Array(CHUNK_BYTES);

  constructor(reader: TensorReader) {
    this.#reader = reader;
  }

  /** The tensor's data as `type`; a piece is valid until the next one is asked for. */
  *pieces(tensor: GgufTensor, type: string): Iterable<Uint8Array> {
    if (tensor.type === type || !isWeightType(type)) {
      yield* copiedPieces(this.#reader, tensor, this.#input);
      return;
    }
    const total = tensor.dims.reduce((product, dimension) => product * dimension);
    for (let begin = 0; begin < total; begin += CHUNK_WEIGHTS) {
      const count = Math.min(CHUNK_WEIGHTS, total - begin);
      const input = this.#input.subarray(0, rowBytes(tensor.type, count));
      const weights = this.#weights.subarray(0, count);
      const output = this.#output.subarray(0, rowBytes(type, count));
      this.#reader.read(tensor, rowBytes(tensor.type, begin), input);
      if (type === "E0M4" && hasLevelsOfE0m4(tensor.type)) {
        checkMoved(moveToE0m4(tensor.type, input, output), begin, tensor);
      } else {
        dequantizeInto(tensor.type, input, weights);
        checkRange(weights, { begin, name: tensor.name, type });
        encodeWeightsInto(type, weights, output);
      }
      yield output;
    }
  }
}

/** Refuses a block that could not be moved over; `begin`: the weight that block 0 begins with. */
function checkMoved(block: number, begin: number, { name, type }: GgufTensor): void {
  if (block < 0) return;
  throw new UnsupportedModelError(
    `Cannot store tensor "${name}" as E0M4: the ${type} block of its weight ` +
      `${begin + 32 * block} has a scale or an offset that is no number of 16 bits: ` +
      "use BF16 or F32, or check the file",
  );
}

/** Refuses weights that would spoil their block: NaN, and what f16 does not hold. */
function checkRange(
  weights: Float32Array,
  { begin, name, type }: { begin: number; name: string; type: WeightType },
): void {
  if (type === "F32" || type === "BF16") return;
  for (let i = 0; i < weights.length; i++) {
    if (Math.abs(weights[i]) <= F16_MAX) continue;
    throw new UnsupportedModelError(
      `Cannot store tensor "${name}" as ${type}: its weight ${begin + i} is ${weights[i]}, and ` +
        `${F16_MAX} is the largest: use BF16 or F32, or check the file`,
    );
  }
}

function checkReadable(tensor: GgufTensor, type: WeightType | undefined): void {
  if (type === undefined || type === tensor.type) return;
  if (DEQUANTIZED_TYPES.includes(tensor.type)) return;
  throw new UnsupportedModelError(
    `Cannot convert tensor "${tensor.name}": it has the type ${tensor.type}, and this version ` +
      `reads ${DEQUANTIZED_TYPES.join(", ")}: begin with a file of one of these`,
  );
}
