/** Which tensors of a file of both are those of its sounds. */
import type { GgufFile } from "../../gguf/mod.ts";
import { Hyperparameters } from "../read/hyperparameters.ts";

/** Of files of models that hear, too, as Gemma 4's small ones do. */
export function tensorsOfSounds(file: GgufFile): string[] {
  if (!new Hyperparameters(file, "clip").flag("has_audio_encoder", false)) return [];
  return [...file.tensors.keys()].filter((name) => /^(a|mm\.a)\./.test(name));
}
