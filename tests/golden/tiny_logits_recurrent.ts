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
    [[8, 6.3944], [304, 5.69], [66, 4.8847]],
    [[326, 5.8224], [16, 5.447], [182, 5.1046]],
  ],
  "rwkv6-old": [
    [[504, 6.7297], [202, 6.3827], [460, 6.162]],
    [[113, 4.9459], [58, 4.9444], [236, 4.9263]],
  ],
  "rwkv6qwen2": [
    [[456, 6.306], [489, 5.37], [150, 4.7319]],
    [[328, 6.0182], [54, 5.3269], [63, 5.1002]],
  ],
  "bailingmoe3": [
    [[49, 5.1367], [451, 5.0924], [365, 4.5741]],
    [[75, 5.9756], [24, 5.6757], [225, 5.3775]],
  ],
  "kimi-k3": [
    [[40, 5.9089], [482, 5.4746], [146, 5.3772]],
    [[336, 5.4422], [316, 4.9957], [151, 4.6873]],
  ],
  // With its choice cut at whole groups: gated_test.ts.
  "qwen4exp": [
    [[402, 2.9333], [102, 2.6081], [501, 2.2965]],
    [[98, 2.7666], [227, 2.7226], [246, 2.5664]],
  ],
  "kimi-linear": [
    [[23, 7.3022], [299, 6.6825], [466, 5.162]],
    [[183, 5.4179], [107, 4.7114], [377, 4.6638]],
  ],
};
