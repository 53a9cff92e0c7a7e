/**
 * What a file of a control vector says: a direction for some of a model's layers. Knows what must
 * hold within the file, and nothing of the model that it is for.
 */
import { ModelFormatError } from "../base/errors.ts";
import { getString, type GgufFile, type GgufTensor, openedAs, openGguf } from "../gguf/mod.ts";
import { isControlVector } from "../model/mod.ts";

/** A control vector, read and checked as far as it can be by itself. */
export interface ControlVector {
  readonly file: GgufFile;
  /** What its maker calls the kind of model that it is for; "": it does not say. */
  readonly hint: string;
  /** Numbers of a direction. */
  readonly length: number;
  /** Its directions, F32 [length], by the number of the layer that each is added behind, from 1. */
  readonly directions: ReadonlyMap<number, GgufTensor>;
}

/**
 * Opens a control vector's file.
 * @throws {ModelFormatError} when it is damaged, or no control vector.
 */
export function openControlVector(path: string): ControlVector {
  return openedAs("control vector", () => readControlVector(openGguf(path)));
}

/** The same, of a header. */
export function readControlVector(file: GgufFile): ControlVector {
  const { metadata } = file;
  if (!isControlVector(file)) {
    const what = metadata.get("general.type") === "adapter"
      ? "it is an adapter: give it with --lora"
      : `it is of the kind ${JSON.stringify(metadata.get("general.architecture") ?? "unknown")}: ` +
        "give a .gguf file that llama-cvector-generator made";
    throw wrong(file, what);
  }
  const directions = new Map<number, GgufTensor>();
  let length = 0;
  for (const tensor of file.tensors.values()) {
    const { name, type, dims } = tensor;
    const [, layer] = /^direction\.([1-9]\d{0,5})$/.exec(name) ?? [];
    if (layer === undefined) {
      const why = name === "direction.0"
        ? "directions are added behind layers 1 and up"
        : "what it has is called direction.1, direction.2 …";
      throw wrong(file, `it has a tensor "${name}", and ${why}: make it again`);
    }
    if (type !== "F32") {
      throw wrong(file, `"${name}" has the type ${type}, not F32: make it again`);
    }
    if (dims.slice(1).some((count) => count !== 1)) {
      throw wrong(file, `"${name}" has ${dims.length} dimensions, not one: make it again`);
    }
    if (length !== 0 && dims[0] !== length) {
      throw wrong(file, `"${name}" has ${dims[0]} numbers, others ${length}: make it again`);
    }
    [length] = dims;
    directions.set(Number(layer), tensor);
  }
  if (directions.size === 0) throw wrong(file, "it has no directions: make it again");
  return { file, hint: getString(metadata, "controlvector.model_hint", ""), length, directions };
}

function wrong(file: GgufFile, what: string): ModelFormatError {
  const path = file.parts[0]?.path;
  return new ModelFormatError(`Cannot use this file as a control vector: ${what}`, {
    ...{ offsetBytes: 0, path },
  });
}
