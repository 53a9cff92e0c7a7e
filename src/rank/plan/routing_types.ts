/** Where an arena has room for tokens that meet experts: part of plan_types.ts. */

/** Where tokens meet experts; see routing.ts for the order of the routes. */
export interface RoutingWorkspacePlan {
  /** [n, experts]. */
  readonly logits: number;
  /** Tokens by expert, u32 [n · routes of a token], and what each counts there, f32. */
  readonly rows: number;
  readonly weights: number;
  /** What the shared expert counts, [n]. */
  readonly sharedWeights: number;
  /** The tokens of one expert side by side, [n, strides.embedding], and as q8 tiles. */
  readonly gathered: number;
  readonly gatheredQ8: number;
}
