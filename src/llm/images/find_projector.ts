/** Where a model's projector is when nobody says. Knows names; opens nothing. */
import { PROJECTOR_ENDING } from "../../base/projector_name.ts";

/** The projector beside a model's file, "dir/name.mmproj.gguf" of "dir/name.gguf"; null: none. */
export function projectorBeside(modelPath: string): string | null {
  const stem = modelPath.replace(/\.(gguf|ganglion)$/i, "").replace(/-00001-of-\d{5}$/, "");
  const path = stem + PROJECTOR_ENDING;
  try {
    return Deno.statSync(path).isFile ? path : null;
  } catch {
    return null;
  }
}
