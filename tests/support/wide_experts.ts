/** Tiny mixtures whose experts are wide enough for stripes of several clusters. */
import { u32 } from "../../src/gguf/mod.ts";
import type { TinyFamilyName } from "./tiny_families.ts";
import { TINY_MODELS, type TinyModelOptions } from "./tiny_model.ts";

const LENGTH = 1024;

/** shared: neurons of what all tokens use; 0: there is none. */
export function wideExperts(
  architecture: TinyFamilyName,
  { shared = 0, ...more }: TinyModelOptions & { shared?: number } = {},
): TinyModelOptions {
  const { experts, architecture: name = architecture } = TINY_MODELS[architecture];
  // Few of them; groups are as they are.
  const few = experts!.count > 8 ? {} : { count: experts!.companions ? 4 : 3, used: 2 };
  const changes = { experts: { ...experts!, ...few, length: LENGTH, ...shared > 0 && { shared } } };
  return {
    ...{ architecture, type: "F32", changes },
    metadata: [
      [`${name}.expert_feed_forward_length`, u32(LENGTH)],
      ...experts!.leading ? [[`${name}.feed_forward_length`, u32(2048)] as const] : [],
      ...shared > 0 ? [[`${name}.expert_shared_feed_forward_length`, u32(shared)] as const] : [],
    ],
    ...more,
  };
}
