/**
 * Typed views over the workspaces of all ranks: how JavaScript moves partial sums from one arena
 * to another. Views of the lengths in use are made once and kept, because making one allocates.
 */
import type { RankPlan, WorkspacePlan } from "./plan_types.ts";

/** What the views are made of; [rank][arena]. */
export interface ArenaViewsInput {
  readonly plan: RankPlan;
  readonly memories: readonly (readonly WebAssembly.Memory[])[];
  readonly workspaces: readonly (readonly WorkspacePlan[])[];
  /** Dimensions that the rotary embedding turns. */
  readonly rotatedDimensions: number;
}

/** The views of steps with n tokens, each [n, embeddingStride]. */
export interface StepViews {
  /** Own residual and incoming buffer, per arena. */
  readonly residual: readonly Float32Array[];
  readonly incoming: readonly Float32Array[];
  /** [arena][turn][rank]. */
  readonly partials: readonly (readonly (readonly Float32Array[])[])[];
}

export class ArenaViews {
  /** Rotary tables per arena, [chunkTokens, rotated dimensions]. */
  readonly rope: readonly Float32Array[];
  readonly #input: ArenaViewsInput;
  readonly #byTokenCount: StepViews[] = [];

  constructor(input: ArenaViewsInput) {
    this.#input = input;
    const { plan } = input;
    const length = plan.chunkTokens * input.rotatedDimensions;
    this.rope = plan.workspaces.map((space, arena) =>
      floats(input.memories[plan.rankIndex][arena], space.rope, length)
    );
  }

  /** Views for steps of n tokens. */
  forTokens(n: number): StepViews {
    return this.#byTokenCount[n] ??= this.#make(n);
  }

  #make(n: number): StepViews {
    const { plan, memories, workspaces } = this.#input;
    const length = n * plan.strides.embedding;
    const own = memories[plan.rankIndex];
    return {
      residual: plan.workspaces.map((space, a) => floats(own[a], space.residual, length)),
      incoming: plan.workspaces.map((space, a) => floats(own[a], space.incoming, length)),
      partials: plan.workspaces.map((_, arena) =>
        [0, 1].map((turn) =>
          memories.map((ofRank, rank) =>
            floats(ofRank[arena], workspaces[rank][arena].partials[turn], length)
          )
        )
      ),
    };
  }
}

function floats(memory: WebAssembly.Memory, offsetBytes: number, length: number): Float32Array {
  return new Float32Array(memory.buffer, offsetBytes, length);
}
