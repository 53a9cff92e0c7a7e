/**
 * A GGUF file with its matrices in another type: tensor by tensor, a few MiB at a time, however
 * large the model is. The header is kept but for the keys that say how the file is stored.
 */
import { basename } from "node:path";
import { UnsupportedModelError } from "../base/errors.ts";
import {
  changedMetadata,
  checkOutput,
  copiedPieces,
  type GgufTensor,
  magicOf,
  openGguf,
  type StoredValue,
  TensorReader,
  type TensorSpec,
  text as stored,
  type TypedGgufFile,
  u32,
  writeGguf,
  type WriteOptions,
} from "../gguf/mod.ts";
import { elementCount, rowBytes } from "../model/dtypes.ts";
import { DEQUANTIZED_TYPES, dequantizeInto } from "../model/mod.ts";
import { chooseTypes, type ChosenType, FILE_TYPES, type Quant } from "./choose_types.ts";
import { encodeWeightsInto, isWeightType, usesImportance, type WeightType } from "./encode.ts";
import { hasLevelsOfE0m4, moveToE0m4, type SameLevels } from "./encode_e0m4.ts";
import type { Importance } from "./importance.ts";

/** What to make of which file. */
export interface QuantizeOptions extends WriteOptions {
  /** Path of a model; the first part of a split one stands for all. */
  readonly input: string;
  /** Path of the new file; what is there is replaced when the new file is complete. */
  readonly out: string;
  readonly quant: Quant;
  /** Of what gives logits; left out, as `quant` has it. */
  readonly outputType?: WeightType;
  /** Opens the input otherwise than as it lies there, such as with adapters in it. */
  readonly source?: QuantizeSource;
  /** What the weights count; left out, all count the same. */
  readonly importance?: Importance;
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
  /** Matrices that were searched without knowing what their weights count, but others were not. */
  readonly unweighed: readonly string[];
  /** Some matrix was searched by what its weights count. */
  readonly isWeighed: boolean;
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
  const { input, out, quant, outputType, importance, source = PLAIN } = options;
  const file = source.open(input);
  checkOutput(out, { parts: importance ? [...file.parts, importance] : file.parts });
  const tensors = [...file.tensors.values()];
  const chosen = chooseTypes(tensors, quant, { outputType });
  for (const tensor of tensors) checkReadable(tensor, chosen.get(tensor.name)?.type);
  const searched = importance === undefined ? [] : searchedOf(tensors, chosen);
  const unweighed = unweighedOf(searched, importance);
  const isWeighed = unweighed.length < searched.length;
  using reader = source.openTensors(file);
  const converter = new Converter(reader, importance);
  const bytes = await writeGguf(out, {
    magic: magicOf(file),
    metadata: changedMetadata(file, [
      ["general.file_type", u32(FILE_TYPES[quant])],
      ["general.quantization_version", u32(QUANTIZATION_VERSION)],
      ...importance !== undefined && isWeighed ? saidOf(importance) : [],
    ]),
    tensors: tensors.map((tensor): TensorSpec => {
      const type = chosen.get(tensor.name)?.type ?? tensor.type;
      const pieces = () => converter.pieces(tensor, type);
      return { name: tensor.name, type, dims: tensor.dims, pieces };
    }),
  }, options);
  const inputBytes = file.parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return { bytes, inputBytes, replaced: replacedTypes(tensors, chosen), unweighed, isWeighed };
}

/** Matrices that get another type, and for it are searched. */
function searchedOf(
  tensors: readonly GgufTensor[],
  chosen: ReadonlyMap<string, ChosenType>,
): GgufTensor[] {
  return tensors.filter((tensor) => {
    const type = chosen.get(tensor.name)?.type;
    return type !== undefined && type !== tensor.type && isSearched(tensor, type);
  });
}

/**
 * Those that the file does not know. All its numbers are looked at before anything is written.
 * @throws {ModelFormatError} when it is of another model.
 */
function unweighedOf(searched: readonly GgufTensor[], importance?: Importance): string[] {
  if (importance === undefined || searched.length === 0) return [];
  const unweighed = searched.filter((tensor) => importance.of(tensor) === undefined);
  if (unweighed.length === searched.length) {
    throw importance.wrong("it has none of this model's matrices");
  }
  return unweighed.map(({ name }) => name);
}

/** As llama.cpp's quantiser says it. */
function saidOf({ path, text, matrixCount }: Importance): [string, StoredValue][] {
  return [
    ["quantize.imatrix.file", stored(basename(path))],
    ["quantize.imatrix.dataset", stored(text.datasets.join(", "))],
    ["quantize.imatrix.entries_count", u32(matrixCount)],
    ["quantize.imatrix.chunks_count", u32(text.chunkCount)],
  ];
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
  readonly #importance: Importance | undefined;
  readonly #counting: Float32Array | null;

  constructor(reader: TensorReader, importance: Importance | undefined) {
    this.#reader = reader;
    this.#importance = importance;
    this.#counting = importance === undefined ? null : new Float32Array(CHUNK_WEIGHTS);
  }

  /** The tensor's data as `type`; a piece is valid until the next one is asked for. */
  *pieces(tensor: GgufTensor, type: string): Iterable<Uint8Array> {
    if (tensor.type === type || !isWeightType(type)) {
      yield* copiedPieces(this.#reader, tensor, this.#input);
      return;
    }
    const total = elementCount(tensor.dims);
    const columns = isSearched(tensor, type) ? this.#importance?.of(tensor) : undefined;
    for (let begin = 0; begin < total; begin += CHUNK_WEIGHTS) {
      const count = Math.min(CHUNK_WEIGHTS, total - begin);
      const input = this.#input.subarray(0, rowBytes(tensor.type, count));
      const weights = this.#weights.subarray(0, count);
      const output = this.#output.subarray(0, rowBytes(type, count));
      this.#reader.read(tensor, rowBytes(tensor.type, begin), input);
      if (isMoved(tensor, type)) {
        checkMoved(moveToE0m4(tensor.type, input, output), begin, tensor);
      } else {
        dequantizeInto(tensor.type, input, weights);
        checkRange(weights, { begin, name: tensor.name, type });
        const importance = columns && this.#spread(tensor, columns, begin).subarray(0, count);
        encodeWeightsInto(type, weights, output, importance);
      }
      yield output;
    }
  }

  /** What columns count, for each weight from weight `begin` of the tensor on. */
  #spread({ dims }: GgufTensor, columns: Float32Array, begin: number): Float32Array {
    const [width] = dims;
    const experts = columns.length / width;
    const rows = elementCount(dims) / width / experts;
    const into = this.#counting!;
    for (let i = 0; i < into.length;) {
      const column = (begin + i) % width, row = Math.floor((begin + i) / width);
      const expert = Math.floor(row / rows) % experts;
      const from = expert * width;
      const part = columns.subarray(from + column, from + width);
      into.set(part.subarray(0, into.length - i), i);
      i += part.length;
    }
    return into;
  }
}

/** Do its blocks become those of `type` as they are? */
function isMoved(tensor: GgufTensor, type: string): tensor is GgufTensor & { type: SameLevels } {
  return type === "E0M4" && hasLevelsOfE0m4(tensor.type);
}

/** Does it matter what its weights count? */
function isSearched(tensor: GgufTensor, type: WeightType): boolean {
  return usesImportance(type) && !isMoved(tensor, type);
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
