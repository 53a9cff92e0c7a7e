/** Metadata keys to the curves of xIELU, layer by layer. Looks at no tensors. */
import { check } from "../../base/check.ts";
import type { GgufFile } from "../../gguf/mod.ts";
import { formatError } from "./hyperparameters.ts";
import type { LayerConfig, XieluCurve } from "../types.ts";

/** Beyond it ln(1 + eˣ) is x in floats. */
const SOFTPLUS_MAX = 20;

/**
 * Layers with their curves: of what a model has learned two numbers are softplus', and one of these
 * counts from the linear part on. The keys have no name of a family before them.
 * @throws {ModelFormatError} when a key is neither a number nor a list of one for each layer.
 */
export function curvedLayers(
  file: GgufFile,
  layers: readonly LayerConfig[],
): readonly LayerConfig[] {
  const read = (key: string) => readFloats(file, `xielu.${key}`, layers.length);
  const [negative, positive, linear, least] = [
    ...[read("alpha_n"), read("alpha_p"), read("beta"), read("eps")],
  ];
  return layers.map((layer, i): LayerConfig => {
    const curve: XieluCurve = {
      negative: linear[i] + softplus(negative[i]),
      positive: softplus(positive[i]),
      linear: linear[i],
      least: least[i],
    };
    check(Object.values(curve).every(Number.isFinite), "sums of floats are numbers");
    return { ...layer, curve };
  });
}

function softplus(x: number): number {
  return x > SOFTPLUS_MAX ? x : Math.log1p(Math.exp(x));
}

/** A number for all layers, or a list with one for each. */
function readFloats(file: GgufFile, key: string, layerCount: number): readonly number[] {
  const said = file.metadata.get(key);
  const values = typeof said === "object"
    ? Array.from(said as ArrayLike<unknown>, (each) => typeof each === "number" ? each : NaN)
    : Array(layerCount).fill(typeof said === "number" ? said : NaN);
  const areFloats = values.every((value) => Math.abs(value) <= FLOAT_MAX);
  if (values.length === layerCount && areFloats) return values;
  throw formatError(
    file,
    `Cannot use metadata "${key}": it must be a number, or a list of one for each of ` +
      `${layerCount} blocks: get the file again or convert the model again`,
  );
}

const FLOAT_MAX = 3.4e38;
