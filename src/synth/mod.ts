/** The door of `src/synth`: models with random weights, and floats packed into blocks. */
export { QUANTS, synthesize, type SynthesizeOptions, type SynthesizeResult } from "./synthesize.ts";
export { packWeights, type WeightType } from "./quantize_blocks.ts";
export { type ModelShape, type ShapeName, SHAPES } from "./shapes.ts";
