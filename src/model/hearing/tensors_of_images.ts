/** Which tensors of a file of both are those of its images. */
import type { GgufFile } from "../../gguf/mod.ts";
import { Hyperparameters } from "../read/hyperparameters.ts";

/** Of files of models that see, too, as Qwen 2.5 Omni's. */
export function tensorsOfImages(file: GgufFile): string[] {
  if (!new Hyperparameters(file, "clip").flag("has_vision_encoder", false)) return [];
  return [...file.tensors.keys()].filter((name) => /^(v\.|mm\.(?!a\.)|model\.)/.test(name));
}
