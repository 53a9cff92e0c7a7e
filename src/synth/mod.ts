/** The door of `src/synth`: models with random weights. */
export { synthesize, type SynthesizeOptions, type SynthesizeResult } from "./synthesize.ts";
export { type ModelShape, type ShapeName, SHAPES } from "./shapes.ts";
