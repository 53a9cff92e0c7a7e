/**
 * The door to GGUF: what a model file says, and the bytes of its tensors. Knows nothing of models.
 */
export { openedAs } from "./opened_as.ts";
export { openGguf, parseGguf } from "./parse.ts";
export { describeGguf, type GgufSummary } from "./describe.ts";
export { changedMetadata, checkOutput, copiedPieces, magicOf } from "./rewrite.ts";
export { encodeHeader, type HeaderSpec } from "./encode_header.ts";
export { fingerprint } from "./fingerprint.ts";
export { type TensorMerger, TensorReader } from "./tensor_reader.ts";
export {
  getBoolean,
  getNumber,
  getNumbers,
  getString,
  getStrings,
  type NumberArray,
} from "./metadata.ts";
export { packStrings } from "./string_array.ts";
export {
  encodeGguf,
  type GgufSpec,
  type TensorSpec,
  writeGguf,
  type WriteOptions,
  type WriteProgress,
} from "./write.ts";
export {
  bool,
  f32,
  list,
  type MetadataEntry,
  storedMetadata,
  type StoredValue,
  text,
  u32,
} from "./stored_values.ts";
export type {
  AdaptedTensor,
  AddedProduct,
  GgufArray,
  GgufFile,
  GgufPart,
  GgufScalarType,
  GgufTensor,
  GgufValue,
  GgufValueType,
  LowRankProduct,
  StringArray,
  SummedTensor,
  TypedGgufFile,
} from "./types.ts";
