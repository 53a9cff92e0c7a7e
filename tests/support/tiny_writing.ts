/** What tiny models have that answer a source, and what T5 calls its tensors. */
import type { TinyFamily } from "./tiny_family.ts";
import type { TensorPlan, TinyShape } from "./tiny_layout.ts";

/** Layers of T5's encoder are called otherwise. */
export function nameOfT5(name: string): string {
  return name.replace(/^blk/, "enc.blk").replace("attn_output", "attn_o");
}

/** Blocks that attend to the answer and to the source, and have neurons, as all layers have. */
export function planWriting(
  plan: TensorPlan,
  { embeddingLength, headCount }: TinyShape,
  { writingBlocks = 0, scoreBuckets = 0 }: TinyFamily,
  of: { readonly heads: () => void; readonly neurons: () => void },
): void {
  plan.prefix = "";
  if (writingBlocks > 0) plan.norm("enc.output_norm", embeddingLength);
  for (let block = 0; block < writingBlocks; block++) {
    // Both have biases in the first block; those of the second are in old files, and nobody's.
    for (const kind of ["", "cross_"]) {
      plan.prefix = `dec.blk.${block}.${kind}`;
      if (block === 0) plan.scoreBiases(headCount, scoreBuckets);
      of.heads();
    }
    plan.prefix = `dec.blk.${block}.`;
    of.neurons();
  }
}
