/** Models of real shapes as the planner sees them, without files. */
import { assert } from "@std/assert";
import { unitShape, unitSources } from "../../src/bundle/units.ts";
import { type GgufFile, type GgufTensor, type GgufValue, text } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { tensorBytes } from "../../src/model/dtypes.ts";
import {
  DEFAULT_PROFILE,
  type MemoryPlan,
  type PlanInput,
  planMemory,
} from "../../src/planner/mod.ts";
import type { Quant } from "../../src/quantize/mod.ts";
import { type Extras, modelMetadata, modelTensors } from "../../src/synth/layout.ts";
import { type ModelShape, type ShapeName, SHAPES } from "../../src/synth/shapes.ts";

export interface ShapeOptions extends Partial<Omit<PlanInput, "model" | "tensors" | "units">> {
  readonly quant?: Quant;
  readonly extras?: Extras;
  readonly alignBytes?: number;
}

/** A shape's file, and what is read of it: the same for all that ask. */
const described = new Map<string, Pick<PlanInput, "model" | "tensors" | "units">>();

/** What is asked of the planner for a shape: 1024 tokens of context, two threads, 4 GiB. */
export function shapeInput(name: ShapeName, options: ShapeOptions = {}): PlanInput {
  const { quant = "Q4_0", extras, alignBytes = 512, ...rest } = options;
  const { contextLength = 1024 } = rest;
  const key = JSON.stringify([name, quant, extras, alignBytes, contextLength]);
  let read = described.get(key);
  if (read === undefined) {
    const file = shapeFile(SHAPES[name], quant, extras);
    const model = describeModel(file, { contextLength });
    const units = unitSources(model).map((source) => unitShape(source, file.tensors, alignBytes));
    described.set(key, read = { model, tensors: file.tensors, units });
  }
  return {
    ...read,
    budgetBytes: 4 * 2 ** 30,
    threads: 2,
    contextLength: 1024,
    profile: DEFAULT_PROFILE,
    stats: null,
    // About what kernels.wasm says.
    sizes: {
      q8_bytes: (n, k) => Math.ceil(n / 4) * 4 * k * 1.25,
      neurons_scratch_bytes: (d) => d * 8,
      matmul_long_scratch_bytes: () => 1024,
      attention_scratch_bytes: (n, heads) => n * heads * 1024,
      choose_scratch_bytes: () => 1024,
    },
    ...rest,
  };
}

function shapeFile(shape: ModelShape, quant: Quant, extras?: Extras): GgufFile {
  const activation = shape.architecture === "llama"
    ? [["llama.hidden_activation", text(shape.activation ?? "relu")] as const]
    : [];
  const entries = [...modelMetadata(shape, { name: "shape", quant }), ...activation];
  let offsetBytes = 0;
  const tensors = modelTensors(shape, quant, extras).map(({ name, type, dims }): GgufTensor => {
    const sizeBytes = tensorBytes(type, dims);
    const tensor = { name, type, dims, part: 0, offsetBytes, sizeBytes };
    offsetBytes += sizeBytes;
    return tensor;
  });
  return {
    magic: "GGUF",
    version: 3,
    metadata: new Map(entries.map(([key, { value }]) => [key, value as GgufValue])),
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
    parts: [{ path: "shape.gguf", sizeBytes: offsetBytes }],
  };
}

/** How a shape is run within a budget. */
export function planOf(
  name: ShapeName,
  budgetBytes: number,
  options: ShapeOptions = {},
): MemoryPlan {
  const plan = planMemory(shapeInput(name, { ...options, budgetBytes }));
  assert(plan.kind === "plan", `${name} runs within ${budgetBytes} bytes`);
  return plan;
}
