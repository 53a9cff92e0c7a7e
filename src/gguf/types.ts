/**
 * What a GGUF file says, as data. Knows nothing of models: a tensor is a name, a type, dimensions
 * and a place in a file.
 */

/** How a scalar is stored in a file. */
export type GgufScalarType =
  | "u8"
  | "i8"
  | "u16"
  | "i16"
  | "u32"
  | "i32"
  | "f32"
  | "bool"
  | "string"
  | "u64"
  | "i64"
  | "f64";

/** How a metadata value is stored in a file. */
export type GgufValueType = GgufScalarType | "array";

/** A metadata value. Integers of 64 bits come as `number` when exact, else as `bigint`. */
export type GgufValue = number | bigint | boolean | string | GgufArray;

/**
 * A metadata array. Numbers come as typed arrays; strings come as a lazily decoded list, because
 * a vocabulary has 150,000 of them; a nested array is a plain array of arrays.
 */
export type GgufArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array
  | readonly boolean[]
  | StringArray
  | readonly GgufArray[];

/** Strings of a metadata array, decoded on demand. */
export interface StringArray extends Iterable<string> {
  readonly kind: "strings";
  readonly length: number;
  /** The string at `index`; invalid UTF-8 becomes U+FFFD. */
  at(index: number): string;
  /** The raw bytes at `index`, a view that must not be written to. */
  bytesAt(index: number): Uint8Array;
}

/** One tensor's entry in the header. */
export interface GgufTensor {
  readonly name: string;
  /** ggml type name in upper case: "F32", "Q4_0", … */
  readonly type: string;
  /** Dimensions in ggml order: `dims[0]` is the contiguous one (columns), `dims[1]` the rows. */
  readonly dims: readonly number[];
  /** Which part of a split model holds the data: index into `GgufFile.parts`. */
  readonly part: number;
  /** Byte offset of the data from the beginning of that part's file. */
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /**
   * What its weights are made of where adapters change them: type and size are those of the sum
   * then, and only a reader that was opened with a `TensorMerger` reads it. Left out: nothing is.
   */
  readonly adapted?: AdaptedTensor;
  /** What adapters add to its products as tokens are computed. Left out: nothing. */
  readonly added?: readonly AddedProduct[];
  /**
   * Of a direction that control vectors give a layer: what it is the sum of. Read as `adapted` is.
   * Left out: it is in a file as it is.
   */
  readonly summed?: readonly SummedTensor[];
  /** Of NVFP4S: the file's tensor and the factors that a reader puts in front of its blocks. */
  readonly scaled?: ScaledTensor;
  /** Of TQ2_0 and Q2_0: the file's tensor of I2_S, whose codes a reader gives their places. */
  readonly ternary?: GgufTensor;
}

/** A vector of another file, F32, and how often it counts. */
export interface SummedTensor {
  readonly tensor: GgufTensor;
  readonly scale: number;
}

/** A tensor whose blocks have a factor beside it: one, or one for each of its last dimension. */
export interface ScaledTensor {
  /** As the file has it, of type NVFP4. */
  readonly base: GgufTensor;
  /** F32 [count]. */
  readonly factors: GgufTensor;
}

/** A tensor's own weights, and what is added to them; nothing: they are checked all the same. */
export interface AdaptedTensor {
  /** As the model's file has it. */
  readonly base: GgufTensor;
  readonly products: readonly LowRankProduct[];
}

/**
 * scale · left · right, [rows, columns], of two matrices with `rank` numbers between them; both are
 * one behind the other as often as the tensor has a third dimension (experts).
 */
export interface LowRankProduct {
  /** [rows, rank]. */
  readonly left: GgufTensor;
  /** [rank, columns], or its transpose. */
  readonly right: GgufTensor;
  readonly isRightTransposed: boolean;
  readonly rank: number;
  readonly scale: number;
}

/** What one adapter adds to products with a tensor, for those who ask for it. */
export interface AddedProduct extends LowRankProduct {
  /** Number of the adapter. */
  readonly adapter: number;
}

/** One file of a model; a model that is not split has one part. */
export interface GgufPart {
  readonly path: string;
  readonly sizeBytes: number;
  /** How it changes the model that it is no part of; left out: it is one. Fingerprints tell it. */
  readonly use?: string;
  /** It lies beside the model, which is the same without it: an adapter that requests choose. */
  readonly isBeside?: boolean;
}

/** A parsed header, all parts of a split model merged. Holds no file open. */
export interface GgufFile {
  /** "GGUF", or "PWRI" for PowerInfer's sparse models. */
  readonly magic: string;
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly parts: readonly GgufPart[];
}

/** A header that also remembers how each value was stored: what copying a file needs. */
export interface TypedGgufFile extends GgufFile {
  readonly metadataTypes: ReadonlyMap<string, GgufValueType>;
}
