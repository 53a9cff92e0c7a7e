/**
 * A step of a model as forward.ts walks it, seen from memory: which intermediates each part reads
 * and writes. A part that has ways to go lists what any of them uses; it overwrites for certain
 * only what nothing before it has left for a part behind it. Knows neither sizes nor addresses.
 */
import type { ModelConfig } from "../../model/types.ts";
import { type ExprLike, type GraphTensor, StepGraph } from "../../shapes/mod.ts";
import { LASTING_TENSORS, STEP_TENSORS } from "./step_tensors.ts";
import type { LastingTensor, StepTensor } from "./step_tensors.ts";

export type { LastingTensor, StepTensor };

export interface StepGraphInput {
  readonly config: Pick<
    ModelConfig,
    "blockCount" | "experts" | "hasParallelBlocks" | "projector" | "relative"
  >;
  /** Bytes; a tensor without them is not there. */
  readonly bytes: Readonly<Partial<Record<StepTensor | LastingTensor, ExprLike>>>;
  /** Silent neurons are left out. */
  readonly isSparse: boolean;
  /** Neurons may be predicted. */
  readonly hasPredictors: boolean;
}

/** Those of state spaces. */
const STATE_TENSORS = STEP_TENSORS.filter((name) => name.startsWith("state."));

/** What an indexer reads of new tokens, and what it needs for each of them. */
const INDEXED = ["indexer.query", "indexer.key", "indexer.weights"] as const;
const CHOOSING = [
  ...["indexer.scores", "indexer.scratch"] as const,
  ...["indexer.keys", "indexer.values", "indexer.table"] as const,
];

/** What positions are made in, where rows see all others by distance. */
const POSITIONS = ["normed", "normed.q8", "incoming", "relative"] as const;

/** What latents, and compressed keys, have between two matrices. */
const PROJECTING = [
  ...["latent.down", "latent.plain", "latent.q8"] as const,
  ...["compressed.down", "compressed.q8"] as const,
];

/** What is between two matrices of an adapter, and behind them, while they are multiplied. */
const ADDING = ["added.between", "added.product"] as const;

/** What heads are merged by. */
const MERGING_HEADS = ["compressed.merged", "compressed.q8", ...ADDING] as const;

/** What gated streams are read by, and what is looked up before a layer. */
const GATING = ["gated.rows", "gated.gates", "gated.low", "gated.q8"] as const;
const NAMING = STEP_TENSORS.filter((name) => name.startsWith("ngram."));

/** Those of a tower's projector. */
const PROJECTOR_TENSORS = STEP_TENSORS.filter((name) => name.startsWith("projector."));

/** What a part of a step does to intermediates, by name. */
type Uses = Partial<Record<"reads" | "writes" | "updates" | "scratch", readonly StepTensor[]>>;

/** A model's step. Operations have the names of the walk's functions, and of parts of them. */
export function stepGraph(input: StepGraphInput): StepGraph {
  const graph = new StepGraph();
  const tensors = new Map<string, GraphTensor>();
  const add = (name: StepTensor | LastingTensor, lives: GraphTensor["lives"]) => {
    const bytes = input.bytes[name];
    if (bytes !== undefined) tensors.set(name, graph.tensor(name, { bytes, lives }));
  };
  for (const name of STEP_TENSORS) add(name, "step");
  for (const name of LASTING_TENSORS) add(name, "always");
  const present = (names: readonly StepTensor[] = []) =>
    names.flatMap((name) => tensors.get(name) ?? []);
  const op = (name: string, { reads, writes, updates, scratch }: Uses) =>
    graph.op(name, {
      reads: present(reads),
      writes: present(writes),
      updates: present(updates),
      scratch: present(scratch),
    });
  new StepWalk(input, graph, op).walk();
  return graph;
}

/** Records operations in the order of forward.ts. */
class StepWalk {
  readonly #input: StepGraphInput;
  readonly #graph: StepGraph;
  readonly #op: (name: string, uses: Uses) => void;

  constructor(input: StepGraphInput, graph: StepGraph, op: (name: string, uses: Uses) => void) {
    this.#input = input;
    this.#graph = graph;
    this.#op = op;
  }

  walk(): void {
    // Loading is over before the first step; it has the tile as scratch, too.
    this.#op("load", { scratch: ["staging", "normed.q8"] });
    this.#op("begin", { writes: ["ropes"] });
    // Rows of a table that stays in a packed file come through staging.
    this.#op("embed", {
      scratch: [
        ...["incoming", "normed.q8", "staging", "patches", "windows"] as const,
        ...["convolved", "convolved.again", "convolved.q8"] as const,
      ],
    });
    if (this.#hasDeep) this.#op("embed.begin", { writes: ["logits"] });
    this.#op("joinEmbedding", { scratch: ["incoming"] });
    if (this.#hasInputs) this.#op("joinEmbedding.make", { scratch: ["normed.q8"] });
    if (this.#hasStreams) this.#mixEnds("joinEmbedding.startStreams");
    const { blockCount } = this.#input.config;
    if (blockCount > 0) this.#graph.repeat(blockCount, () => this.#layer());
    if (this.#hasStreams) this.#mixEnds("endStreams");
    this.#op("scoreVocabulary", {
      scratch: ["normed", "normed.q8", "neurons.scratch", ...PROJECTOR_TENSORS],
      [this.#hasDeep ? "updates" : "writes"]: ["logits"],
    });
    // Behind the step, before the next one: the others' logits are put behind the leader's.
    this.#op("choose", { updates: ["logits"], scratch: ["candidates"] });
  }

  #layer(): void {
    const { experts, hasParallelBlocks } = this.#input.config;
    const hasLatents = this.#input.bytes["latent.mixed"] !== undefined;
    const mixed = hasLatents ? "latent.mixed" : "attention";
    const merged = hasLatents ? ["attention", "latent.q8"] as const : [];
    this.#op("enterLayer.name", { scratch: NAMING });
    if (this.#hasStreams) this.#mix("enterLayer.guess");
    if (this.#readsEarly) this.#op("routeEarly.norm", { writes: ["early"] });
    if (this.#routesEarly) {
      this.#route("routeEarly", "writes", this.#readsEarly ? ["early"] : []);
    }
    this.#op("project.norm", { writes: ["normed", "normed.q8"] });
    this.#op("project", {
      reads: ["normed", "normed.q8"],
      writes: ["query", "key", "value", "attention.gate", ...INDEXED],
      scratch: [...PROJECTING, ...ADDING, "neurons.scratch"],
    });
    this.#op("normalizeHeads", { updates: ["query", "key"] });
    const turned = ["query", "key", "indexer.query", "indexer.key"] as const;
    this.#op("rotate", { reads: ["ropes"], updates: turned });
    this.#op("remember", { reads: ["key", "value", "indexer.key"] });
    const { relative } = this.#input.config;
    this.#op("attend", {
      reads: ["query", "indexer.query", "indexer.weights", ...this.#attendsTo],
      writes: [mixed],
      scratch: ["attention.scratch", "attention.grid", ...relative ? POSITIONS : [], ...CHOOSING],
    });
    this.#op("mergeHeads", {
      reads: ["attention.gate"],
      updates: [mixed],
      scratch: ["attention.q8", "incoming", "neurons.scratch", ...merged, ...MERGING_HEADS],
    });
    // All of it begins and ends here.
    if (this.#input.bytes["state.input"] !== undefined) {
      this.#op("recur", {
        writes: ["normed", "normed.q8"],
        scratch: [...STATE_TENSORS, "incoming", "neurons.scratch"],
      });
    }
    if (this.#hasStreams) {
      this.#op("joinAttention.bypass", { writes: ["around"], scratch: ["normed", "bypass"] });
    }
    if (!hasParallelBlocks) this.#join("joinAttention", ["around"]);
    if (this.#hasGates) this.#op("joinAttention.enter", { scratch: GATING });
    if (this.#isApart) this.#feedShared();
    if (experts?.latentLength !== undefined) this.#feedLatents(experts.count);
    if (this.#input.hasPredictors) this.#predict();
    if (this.#cutsGates) this.#op("predict.cutGates", { writes: ["normed", "normed.q8", "gate"] });
    if (this.#isApart) {
      this.#op("feedForward.router", { writes: ["normed"] });
      this.#route("feedForward.route", "writes", ["normed"]);
    }
    if (this.#readsEarly) this.#op("feedForward.take", { reads: ["early"], writes: ["normed.q8"] });
    else this.#op("feedForward.norm", { writes: ["normed", "normed.q8"] });
    // A mixture's dense layers use no more than an expert does, and live as long.
    if (experts === null) this.#neurons("feedForward", ["normed", "normed.q8"], true);
    else this.#experts(experts.count, experts.sharedFeedForwardLength > 0 && !this.#isApart);
    if (this.#input.bytes["state.input"] !== undefined) {
      this.#op("feedForward.gate", {
        writes: ["normed", "normed.q8"],
        scratch: ["incoming", "neurons.scratch"],
      });
    }
    // Others copy their part of what predictors have from here until they come to this join.
    this.#join("joinFeedForward", ["predictor", "beside"]);
    if (this.#hasStreams) this.#mix("endLayer.correct");
    if (this.#hasInputs) this.#endLayer();
    this.#endTowerLayer();
  }

  /** Heads that know places in an image, or distances of all rows, read keys as they are made. */
  get #attendsTo(): readonly StepTensor[] {
    const { bytes, config } = this.#input;
    return bytes["attention.grid"] === undefined && !config.relative ? [] : ["key", "value"];
  }

  /** What a tower does behind some of its layers. */
  #endTowerLayer(): void {
    if (this.#hasDeep) {
      const scratch = ["normed", "normed.q8", "neurons.scratch", ...PROJECTOR_TENSORS] as const;
      this.#op("endLayer.project", { updates: ["logits"], scratch });
    }
    if (this.#input.config.projector?.fold === undefined) return;
    this.#op("endLayer.fold", { scratch: ["neurons.scratch", ...PROJECTOR_TENSORS] });
    this.#join("endLayer.joinFold", []);
  }

  /** Some layers' outcomes are projected, too, to where the last one's will be. */
  get #hasDeep(): boolean {
    const { deepLayers, layerQueries } = this.#input.config.projector ?? {};
    return (deepLayers ?? layerQueries) !== undefined;
  }

  get #hasStreams(): boolean {
    return this.#input.bytes.streams !== undefined;
  }

  /** Streams are gated. */
  get #hasGates(): boolean {
    return this.#input.bytes["gated.rows"] !== undefined;
  }

  get #cutsGates(): boolean {
    return this.#input.bytes["gate.moments"] !== undefined;
  }

  /** One stream becomes several, or several one. */
  #mixEnds(name: string): void {
    const scratch = ["normed", "normed.q8", "incoming", "streams.words", ...GATING] as const;
    this.#op(name, { scratch });
  }

  #mix(name: string): void {
    this.#op(name, { scratch: ["normed", "streams.one", "streams.words", ...GATING] });
  }

  get #isApart(): boolean {
    return this.#input.bytes.beside !== undefined;
  }

  get #hasInputs(): boolean {
    return this.#input.bytes["token.inputs"] !== undefined;
  }

  /** The shared expert by itself. */
  #feedShared(): void {
    this.#op("feedShared.norm", { writes: ["normed", "normed.q8"] });
    this.#neurons("feedShared", ["normed", "normed.q8"], false);
    this.#op("feedShared.join", { writes: ["beside"], scratch: ["normed", "incoming"] });
  }

  /** Experts that read latents, up to what their sum is made. */
  #feedLatents(count: number): void {
    const normed: StepTensor[] = ["normed", "normed.q8"];
    const own: StepTensor[] = ["gathered", "gathered.q8"];
    const x: StepTensor[] = ["early", "normed.q8"];
    const routes: StepTensor[] = ["routes.rows", "routes.weights"];
    this.#op("feedShared.norm", { writes: normed });
    this.#route("feedShared.route", "writes", normed);
    this.#op("feedShared.read", { reads: normed, writes: x });
    this.#graph.repeat(count, () => {
      this.#op("feedShared.gather", { reads: [...x, "routes.rows"], writes: own });
      this.#neurons("feedShared", [...x, ...own, ...routes], false);
    });
    this.#op("feedShared.join", { writes: normed, scratch: ["incoming", "neurons.scratch"] });
  }

  /** What the token gives the layer. */
  #endLayer(): void {
    this.#op("endLayer.project", { writes: ["up"], scratch: ["normed.q8"] });
    this.#op("endLayer.activate", { reads: ["up"], writes: ["hidden"] });
    this.#op("endLayer.merge", {
      reads: ["hidden"],
      scratch: ["hidden.q8", "incoming", "neurons.scratch"],
    });
    this.#join("endLayer.join", []);
  }

  get #routesEarly(): boolean {
    const { experts } = this.#input.config;
    return experts !== null && experts.routerInput !== "feedForward";
  }

  /** Experts read a norm of the layer's input. */
  get #readsEarly(): boolean {
    return this.#input.config.experts?.routerInput === "ownNorm";
  }

  /**
   * how: routes that another part may have made before are not lost if this one does not run.
   * reads: what the router reads; left out: the residual stream as it is.
   */
  #route(name: string, how: "writes" | "updates", reads: readonly StepTensor[] = []): void {
    const routes = ["routes.rows", "routes.weights"] as const;
    this.#op(name, { reads, scratch: ["router.logits"], [how]: routes });
  }

  /** A norm of the sum has the place of what blocks read, which none needs any more. */
  #join(name: string, reads: readonly StepTensor[]): void {
    this.#op(name, { reads, scratch: ["normed", "incoming"] });
  }

  /** Of this layer, and of the next one; experts are chosen for it, in any case anew. */
  #predict(): void {
    const routes: StepTensor[] = this.#routesEarly ? [] : ["routes.rows", "routes.weights"];
    this.#op("predict", {
      reads: this.#routesEarly ? ["routes.rows"] : [],
      writes: ["predictor", ...routes],
      scratch: [
        "normed",
        "normed.q8",
        "gathered",
        "gathered.q8",
        "router.logits",
        "neurons.scratch",
      ],
    });
  }

  #experts(count: number, hasShared: boolean): void {
    const { hasPredictors, config } = this.#input;
    const normed: StepTensor[] = ["normed", "normed.q8"];
    if (config.experts!.latentLength !== undefined) {
      this.#op("feedForward.weigh", { reads: normed, writes: ["shared.weights"] });
      return this.#neurons("feedForward", [...normed, "shared.weights"], false);
    }
    const x: StepTensor[] = this.#readsEarly ? ["early", "normed.q8"] : normed;
    const routes: StepTensor[] = ["routes.rows", "routes.weights"];
    if (!this.#routesEarly && !this.#isApart) {
      this.#route("feedForward.route", hasPredictors ? "updates" : "writes", x);
    }
    // Experts on disk are all asked for, by lists or gates, before one is computed.
    if (this.#input.isSparse) this.#list("feedForward.begin", x);
    this.#graph.repeat(count, () => {
      const own: StepTensor[] = ["gathered", "gathered.q8"];
      this.#op("feedForward.gather", { reads: [...x, "routes.rows"], writes: own });
      this.#neurons("feedForward", [...x, ...own, ...routes], true);
    });
    if (!hasShared) return;
    if (this.#readsEarly) this.#op("feedForward.norm", { writes: ["normed", "normed.q8"] });
    this.#op("feedForward.weigh", { reads: normed, writes: ["shared.weights"] });
    this.#neurons("feedForward", [...normed, "shared.weights"], false);
  }

  /** Neurons that a predictor names, or gates. */
  #list(name: string, x: readonly StepTensor[]): void {
    this.#op(name, {
      reads: [...x, ...this.#input.hasPredictors ? ["predictor" as const] : []],
      writes: [...this.#cutsGates ? [] : ["gate" as const], "fired", "alone", "alone.q8"],
      // Those of some layers are there already.
      updates: this.#cutsGates ? ["gate"] : [],
      scratch: ["predictor.q8", "neurons.scratch"],
    });
  }

  /** Neurons of a block; x: what they read, and what counts with them. */
  #neurons(name: string, x: readonly StepTensor[], mayBePredicted: boolean): void {
    const { isSparse, hasPredictors } = this.#input;
    const isPredicted = hasPredictors && mayBePredicted;
    if (isSparse) {
      this.#list(`${name}.list`, x);
      // Token by token, gates of the others waiting; or neurons of a list, as they arrive.
      this.#op(`${name}.sparse`, {
        reads: x,
        updates: ["gate", "fired", "alone", "alone.q8"],
        scratch: [
          ...["up", "hidden", "hidden.q8", "incoming"] as const,
          ...["predictor.q8", "neurons.scratch"] as const,
        ],
      });
    }
    const hasGates = isSparse || this.#cutsGates;
    // Gates may be there already, of a block that had better be computed as a whole.
    this.#op(`${name}.activate`, {
      reads: x,
      [hasGates ? "updates" : "writes"]: ["gate"],
      writes: hasGates ? ["up", "hidden"] : ["gate", "up", "hidden"],
      scratch: ADDING,
    });
    // An observer looks at all three; a rehearsal puts scores in the gates' place.
    this.#op(`${name}.see`, {
      reads: ["gate", "up", "hidden", ...x, ...isPredicted ? ["predictor" as const] : []],
    });
    if (isPredicted) {
      this.#op(`${name}.compare`, {
        reads: ["predictor", "hidden", ...x],
        scratch: ["gate", "predictor.q8", "neurons.scratch"],
      });
    }
    this.#op(`${name}.down`, {
      reads: ["hidden", ...x],
      scratch: ["hidden.q8", "incoming", "neurons.scratch", ...ADDING],
    });
  }
}
