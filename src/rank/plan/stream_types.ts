/** How units of a packed file are streamed, as plans say it. Data only. */

/** How a rank streams a packed file. */
export interface StreamPlan {
  /** Slots hold what of a bundle is not resident: all of it, or all but the gate. */
  readonly slotBytes: number;
  readonly hasResidentGates: boolean;
  /** Gates that are not resident are read before the rest, and the rest where they fire. */
  readonly readsGatesFirst: boolean;
  /** Units that each arena has places for as dense blocks: staged_units.ts. */
  readonly stagePlaces: number;
  /** Clusters of an arena's slots that are hot, for 1, 2, … sequences, and more. */
  readonly hotClusters: readonly number[];
  /** Bytes of one sequential read, and of all that are under way. */
  readonly pieceBytes: number;
  readonly rawBytes: number;
  /** Neurons that lie so near in the file are one read. */
  readonly gapBytes: number;
  /** What is done to be fast. */
  readonly steps: StreamingSteps;
}

/**
 * What streaming does to be fast, step by step (PowerInfer-2). All of it is always done; that each
 * step can be left out is for measuring what it is worth. Answers stay the same.
 */
export interface StreamingSteps {
  /**
   * A neuron is one read, joined with its neighbours' where these are wanted, too. Without: a read
   * for each of its matrices.
   */
  readonly bundles: boolean;
  /** Slots keep neurons for later tokens. Without: there are as many as one token's block needs. */
  readonly cache: boolean;
  /**
   * What is there is computed while the rest arrives, gates while the first neurons are read, and
   * the next block is asked for ahead. Without: a block waits for everything that it needs.
   */
  readonly pipeline: boolean;
}

/** Where bundles of a packed file are kept, and where they arrive. */
export interface StreamWorkspacePlan {
  /** Slots, [slotCount, slotBytes]. */
  readonly slots: number;
  readonly slotCount: number;
  /** Where units are staged as dense blocks, [stagePlaces, placeBytes]. */
  readonly stage: number;
  readonly placeBytes: number;
  /**
   * While nothing is staged, bundles for which no slot is free lie there: slots of these numbers,
   * which keep nothing.
   */
  readonly spareFirst: number;
  readonly spareCount: number;
  /** Where sequential reads land, [rawBytes]. */
  readonly raw: number;
  /** Most own neurons of a block: lists have room for so many. */
  readonly neuronCount: number;
  /** The same with those that a GPU has of it: down has columns of them. */
  readonly columnCount: number;
  /** One for each block that is computed at the same time: the dense one, or the chosen experts. */
  readonly lanes: readonly ListPlan[];
  /** The neurons that fire, of one of them. */
  readonly fired: ListPlan;
  /** Of all columns of down: where they are, or in which slots; u32 [columns]. */
  readonly places: number;
  /** Neurons of a piece of a sequential read, u32 [neurons]. */
  readonly order: number;
}

/** Neurons of a block, their values and slots; u32, f32 and u32 [neurons]. */
export interface ListPlan {
  readonly ids: number;
  readonly values: number;
  readonly slots: number;
}
