/** Which bytes of an arena the intermediates of a step have: part of plan_types.ts. */

/** The intermediates of a step in one arena: those that do not live together share bytes. */
export interface IntermediatesPlan {
  readonly places: readonly IntermediatePlace[];
  /** Bytes of all of them, and what they would take if each had bytes of its own. */
  readonly plannedBytes: number;
  readonly apartBytes: number;
}

export interface IntermediatePlace {
  /** As step_graph.ts calls it. */
  readonly name: string;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** It keeps its bytes from step to step. */
  readonly isLasting: boolean;
}
