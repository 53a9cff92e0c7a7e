/** What tiny models have behind their last norm, where they make vectors of texts. */
import type { TinyFamily } from "./tiny_family.ts";
import type { TensorPlan } from "./tiny_layout.ts";

/** What follows a text's vector. */
export function planTextHead(
  plan: TensorPlan,
  width: number,
  { ranker, projections }: TinyFamily,
): void {
  let columns = width;
  for (const [index, rows] of projections?.entries() ?? []) {
    plan.matrix(`dense_${index + 2}`, [columns, rows]);
    columns = rows;
  }
  if (!ranker) return;
  const { dense, output, hasNorm, hasBiases } = ranker;
  if (dense) {
    plan.matrix("cls", [width, dense]);
    if (hasBiases) plan.bias("cls", dense);
    if (hasNorm) plan.wholeNorm("cls.norm.weight", dense);
  }
  plan.matrix("cls.output", [dense ?? width, output]);
  if (hasBiases) plan.bias("cls.output", output);
}
