/**
 * Several residual streams on one rank, whichever way blocks read them: a mixture of all, or what
 * the stream was at some layers.
 */
import { bindHyper } from "../bound/bound_hyper.ts";
import type { HyperPlan } from "../plan/plan_hyper.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";
import { HyperStreams } from "./hyper_streams.ts";
import { KeptInputs } from "./kept_inputs.ts";

export type MixedStreams = HyperStreams | KeptInputs;

/** memories: of the rank's arenas; plan: what the model's end reads streams by. */
export function mixedStreams(
  state: StepState,
  { residual, memories, plan }: {
    readonly residual: Residual;
    readonly memories: readonly WebAssembly.Memory[];
    readonly plan: HyperPlan;
  },
): MixedStreams {
  const by = { residual, memories, end: bindHyper(plan, memories[0]) };
  if (state.config.hyper!.keepsEvery === undefined) return new HyperStreams(state, by);
  return new KeptInputs(state, by);
}
