/** The model that is used when none is named: it lies beside the sources, wherever they run. */
import { fileURLToPath } from "node:url";

/** The file; its recipe and its model card are beside it. */
export const BUILT_IN_MODEL_PATH = fileURLToPath(
  new URL("../../builtin/model.gguf", import.meta.url),
);

/** What the API calls it. */
export const BUILT_IN_MODEL_ID = "built-in";
