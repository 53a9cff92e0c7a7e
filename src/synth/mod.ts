/** The door of `src/synth`: models with random weights. */
export { SYNTH_QUANTS, type SynthQuant } from "./synth_types.ts";
export { synthesize, type SynthesizeOptions, type SynthesizeResult } from "./synthesize.ts";
export { type ModelShape, type ShapeName, SHAPES } from "./shapes.ts";
export { describeShapes, type ShapeSummary } from "./describe_shapes.ts";
