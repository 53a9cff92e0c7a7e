/** What a feed-forward block works with. */
import type { Control } from "../../memory/control.ts";
import type { Observer } from "../step/observer.ts";
import type { RankPlan } from "../plan/plan_types.ts";
import type { Residual } from "../step/residual.ts";
import type { Streaming } from "../stream/streaming.ts";

export interface FeedForwardParts {
  readonly residual: Residual;
  readonly control: Control;
  readonly plans: readonly RankPlan[];
  readonly memories: readonly WebAssembly.Memory[];
  /** All ranks'. */
  readonly all: readonly (readonly WebAssembly.Memory[])[];
  readonly observer: Observer | null;
  readonly streaming: Streaming | null;
}
