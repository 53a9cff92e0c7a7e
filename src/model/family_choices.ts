/** What a family that mixes experts, or keeps states, has chosen: part of family.ts. Data only. */
import type { ExpertsConfig, StateSpaceConfig } from "./types.ts";

/** What some families' files are told apart by. */
export interface MixtureShape {
  readonly blockCount: number;
  readonly vocabSize: number;
}

/** How a family mixes experts. */
export interface ExpertChoices {
  /** False: a file without experts is a dense model of the family. */
  readonly isRequired: boolean;
  /** Where the file does not say. */
  readonly gating: ExpertsConfig["gating"] | ((shape: MixtureShape) => ExpertsConfig["gating"]);
  readonly normalizesWeights: boolean;
  readonly routerInput: ExpertsConfig["routerInput"];
  /**
   * One expert is used by every token: as much as its own gate says; "plain": once, if there is
   * any; "dense": so, and its tensors are called as a dense block's are; "apart": so, and it has
   * norms of its own.
   */
  readonly sharedExpert: "none" | "gated" | "plain" | "dense" | "apart";
  /** Where there is one, it and all others together count so much each. Left out: 1. */
  readonly jointWeight?: number;
  /**
   * "ofEach": the file says how long each of the shared experts is; "asOthers": there is one, as
   * long as the others; "asStream": as the residual stream is wide. Left out: the file says how
   * long all of them are together.
   */
  readonly sharedLength?: "ofEach" | "asOthers" | "asStream";
  /** `feed_forward_length` is one expert's. Left out: that of all that a token uses. */
  readonly saysLengthOfEach?: true;
  /**
   * Experts may read latents: which key says how long these are, and how the tensors begin that
   * make them and what becomes of them. Left out: a file whose experts do is refused.
   */
  readonly latents?: {
    readonly lengthKey: string;
    readonly tensors: string;
    /** What experts give together may be normalised. */
    readonly mayNormalize: boolean;
  };
  /** Groups of experts have companions. Left out: they have none. */
  readonly haveCompanions?: true;
  /** One of so many layers may mix, as the file says. Left out: all do. */
  readonly mayAlternate?: boolean;
  /** Weights multiply what experts read. Left out: what they give. */
  readonly weighsInputs?: true;
  /** Layers without a router have a dense block, of as many neurons as an expert. Left out: no. */
  readonly areInTurns?: boolean;
}

/** Which layers of a family keep a state space, and what they have beside it. */
export interface StateSpaceChoices {
  readonly kind: StateSpaceConfig["kind"];
  /** No layer attends; all do, too; or some do instead. */
  readonly attention: "none" | "beside" | "instead";
  /** Every layer has neurons; those that have neither a state nor heads do; none does. */
  readonly neurons: "each" | "apart" | "none";
  /**
   * Layers may differ in their numbers of heads, of neurons, and of experts that a token uses: the
   * file lists them. Left out: such a list is refused.
   */
  readonly layersDiffer?: true;
  /** Heads of a group are no neighbours. Left out: they are. */
  readonly headsTakeTurns?: boolean;
  /** Of "deltas": what gates goes through a sigmoid. Left out: through SiLU. */
  readonly gatesBySigmoid?: true;
  /** What states give is normalised in files that have weights for it. Left out: in all. */
  readonly mayLackNorm?: boolean;
  /** Of "keyDeltas": what one matrix makes, not two, as its tensor is called. Left out: none. */
  readonly wholeMatrices?: { readonly steps?: string; readonly gate?: string };
  /** Of "keyDeltas": decays have a floor, always or where the file says one. Left out: none. */
  readonly decayFloor?: "always" | "ifSaid";
  /**
   * Of "keyed" and "added": neurons read rows that are mixed with those of the token before, too.
   * Left out: they do not.
   */
  readonly shiftsNeurons?: boolean;
}
