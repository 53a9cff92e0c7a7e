/** The door of `src/quantize`: floats to blocks, and whole files to other types. */
export {
  chooseTypes,
  type ChosenType,
  FILE_TYPES,
  type Quant,
  QUANTS,
  type TensorShape,
} from "./choose_types.ts";
export {
  encodeWeights,
  encodeWeightsInto,
  isWeightType,
  WEIGHT_TYPES,
  type WeightType,
} from "./encode.ts";
export { Importance, openImportance } from "./importance.ts";
export {
  type MatrixSums,
  type MeasuredText,
  SUBJECT,
  writeImportance,
} from "./write_importance.ts";
export {
  quantizeFile,
  type QuantizeOptions,
  type QuantizeResult,
  type QuantizeSource,
  type ReplacedType,
} from "./quantize_file.ts";
