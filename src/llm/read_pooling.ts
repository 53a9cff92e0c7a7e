/** How a model file says that a text's vector is made of its tokens' rows. */
import { RequestError } from "../base/errors.ts";
import type { Pooling } from "../engine/text_pooler.ts";
import { getNumber } from "../gguf/mod.ts";
import type { GgufFile } from "../gguf/types.ts";

/** GGUF's `pooling_type`: 0 says nothing, 4 needs weights of its own. */
const POOLINGS: readonly (Pooling | null)[] = ["mean", "mean", "first", "last", null];

/** @throws {RequestError} 501 for a way of pooling that is not computed here. */
export function readPooling(metadata: GgufFile["metadata"], architecture: string): Pooling {
  const type = getNumber(metadata, `${architecture}.pooling_type`, 0);
  const pooling = POOLINGS[type] ?? null;
  if (pooling !== null) return pooling;
  throw new RequestError(
    `Cannot make vectors of texts: this model pools them in a way (${type}) that is not ` +
      "supported: take another model",
    { status: 501, code: "unsupported" },
  );
}
