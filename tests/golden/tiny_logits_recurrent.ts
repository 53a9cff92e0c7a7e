/**
 * Logits of families whose states decay key by key, as tiny_logits.ts has the others', by the
 * llama.cpp that node-llama-cpp 3.22.1 has, cache F32. Data only.
 */
import type { TinyFamilyName } from "../support/tiny_families.ts";

type Best = readonly (readonly [id: number, logit: number])[];

export const RECURRENT_LOGITS: Readonly<
  Partial<Record<TinyFamilyName, readonly [at11: Best, at47: Best]>>
> = {
  "rwkv7": [
    [[303, 5.5562], [198, 5.3986], [51, 4.9139]],
    [[265, 6.7071], [130, 6.6434], [198, 6.1425]],
  ],
  "arwkv7": [
    [[139, 6.8536], [214, 5.6605], [186, 5.6275]],
    [[184, 6.6029], [25, 5.8326], [470, 4.2595]],
  ],
  "rwkv6": [
    [[184, 6.0733], [388, 5.495], [126, 5.2868]],
    [[281, 5.9674], [139, 5.8513], [465, 5.2114]],
  ],
  "rwkv6-old": [
    [[22, 5.9173], [124, 5.5108], [435, 4.8608]],
    [[151, 5.6934], [263, 5.6518], [226, 5.5034]],
  ],
  "rwkv6qwen2": [
    [[308, 7.0745], [463, 5.8957], [23, 5.6458]],
    [[205, 5.858], [437, 4.9572], [509, 4.8708]],
  ],
  "kimi-linear": [
    [[23, 7.3022], [299, 6.6825], [466, 5.162]],
    [[183, 5.4179], [107, 4.7114], [377, 4.6638]],
  ],
};
