/**
 * Typed views over the workspaces of all ranks: how JavaScript moves partial sums from one arena
 * to another. Views of the lengths in use are made once and kept, because making one allocates.
 */
import type { RankPlan, WorkspacePlan } from "../plan/plan_types.ts";

/** What the views are made of; [rank][arena]. */
export interface ArenaViewsInput {
  readonly plan: RankPlan;
  readonly memories: readonly (readonly WebAssembly.Memory[])[];
  readonly workspaces: readonly (readonly WorkspacePlan[])[];
  /** Of what predictors have between their matrices. */
  readonly predictorRows: number;
  /** Floats that state spaces exchange, and of a row of what their channels make together. */
  readonly stateFloats: number;
  readonly stateRows: { readonly rank: number; readonly made: number };
  /** Residual streams; 0: the one that `residual` is. */
  readonly streamCount: number;
  /** Dimensions that each rotary embedding turns. */
  readonly rotatedDimensions: readonly number[];
}

/** The views of steps with n tokens, each [n, strides.embedding]. */
export interface StepViews {
  /** Own buffers of these names, per arena. */
  readonly residual: readonly Float32Array[];
  readonly normed: readonly Float32Array[];
  readonly incoming: readonly Float32Array[];
  /** Of several residual streams each, [arena][stream]. */
  readonly streams: readonly (readonly Float32Array[])[];
  /** [arena][turn][rank]. */
  readonly partials: readonly (readonly (readonly Float32Array[])[])[];
}

export class ArenaViews {
  /** Rotary tables, [arena][rotary embedding], each [chunkTokens, rotated dimensions]. */
  readonly ropes: readonly (readonly Float32Array[])[];
  /** Squares of queries and keys, then factors, [arena][rank], each [4, chunkTokens]. */
  readonly squares: readonly (readonly Float32Array[])[];
  /** Between the matrices of predictors, [arena][rank], each [predictorRows, predictorStride]. */
  readonly predictors: readonly (readonly Float32Array[])[];
  /** What state spaces exchange, [arena][rank], each [stateFloats]. */
  readonly states: readonly (readonly Float32Array[])[];
  /** What channels make together, per arena: what steps are made of, and what writes and reads. */
  readonly stateParts: readonly { readonly rank: Float32Array; readonly made: Float32Array }[];
  readonly #input: ArenaViewsInput;
  readonly #byTokenCount: StepViews[] = [];

  constructor(input: ArenaViewsInput) {
    this.#input = input;
    const { plan, memories, workspaces, rotatedDimensions } = input;
    const own = memories[plan.rankIndex];
    this.ropes = plan.workspaces.map((space, arena) =>
      space.ropes.map((at, rope) =>
        floats(own[arena], at, plan.chunkTokens * rotatedDimensions[rope])
      )
    );
    this.squares = plan.workspaces.map((_, arena) =>
      memories.map((ofRank, rank) =>
        floats(ofRank[arena], workspaces[rank][arena].squares, 4 * plan.chunkTokens)
      )
    );
    this.states = plan.workspaces.map((_, arena) =>
      memories.map((ofRank, rank) =>
        floats(ofRank[arena], workspaces[rank][arena].states?.exchange ?? 0, input.stateFloats)
      )
    );
    const { rank, made } = input.stateRows;
    this.stateParts = plan.workspaces.map(({ states }, arena) => ({
      rank: floats(own[arena], states?.rank ?? 0, rank * plan.chunkTokens),
      made: floats(own[arena], states?.made ?? 0, made * plan.chunkTokens),
    }));
    const between = input.predictorRows * plan.strides.predictor;
    this.predictors = plan.workspaces.map((_, arena) =>
      memories.map((ofRank, rank) =>
        floats(ofRank[arena], workspaces[rank][arena].predictor, between)
      )
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
    const ownViews = (name: "residual" | "normed" | "incoming") =>
      plan.workspaces.map((space, arena) => floats(own[arena], space[name], length));
    return {
      residual: ownViews("residual"),
      normed: ownViews("normed"),
      incoming: ownViews("incoming"),
      streams: plan.workspaces.map(({ streams }, arena) =>
        Array.from({ length: this.#input.streamCount }, (_, stream) => {
          const at = streams + 4 * stream * plan.chunkTokens * plan.strides.embedding;
          return floats(own[arena], at, length);
        })
      ),
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

/** A view of `length` doubles at a byte offset. */
export function floats64(
  memory: WebAssembly.Memory,
  offsetBytes: number,
  length: number,
): Float64Array {
  return new Float64Array(memory.buffer, offsetBytes, length);
}

/** A view of `length` floats at a byte offset. */
export function floats(
  memory: WebAssembly.Memory,
  offsetBytes: number,
  length: number,
): Float32Array {
  return new Float32Array(memory.buffer, offsetBytes, length);
}
