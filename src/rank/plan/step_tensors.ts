/** What a step leaves from part to part, by name. Knows neither its writers nor its size. */

/**
 * Intermediates of a step that share memory where they do not live at the same time; their form
 * and meaning: `WorkspacePlan`. One that a rank does not have is left out.
 */
export const STEP_TENSORS = [
  "staging",
  "normed",
  "normed.q8",
  "patches",
  "convolved",
  "convolved.again",
  "convolved.q8",
  "windows",
  "query",
  "key",
  "value",
  "latent.down",
  "latent.plain",
  "latent.mixed",
  "latent.q8",
  "compressed.down",
  "compressed.merged",
  "compressed.q8",
  "gated.rows",
  "gated.gates",
  "gated.low",
  "gated.q8",
  "ngram.rows",
  "ngram.value",
  "ngram.key",
  "ngram.q8",
  "ngram.past",
  "indexer.query",
  "indexer.key",
  "indexer.weights",
  "indexer.scores",
  "indexer.scratch",
  "indexer.keys",
  "indexer.values",
  "indexer.table",
  "state.input",
  "state.convolved",
  "state.convolved.q8",
  "state.steps",
  "state.out",
  "state.out.q8",
  "state.rank",
  "state.rank.q8",
  "state.made",
  "attention",
  "attention.gate",
  "attention.q8",
  "attention.scratch",
  "relative",
  "attention.grid",
  "gate",
  "up",
  "fired",
  "hidden",
  "hidden.q8",
  "alone",
  "alone.q8",
  "incoming",
  "early",
  "beside",
  "streams.one",
  "streams.words",
  "around",
  "bypass",
  "neurons.scratch",
  "predictor",
  "predictor.q8",
  "ropes",
  "router.logits",
  "routes.rows",
  "routes.weights",
  "shared.weights",
  "gathered",
  "gathered.q8",
  "projector.merged",
  "projector.q8",
  "projector.hidden",
  "projector.gate",
  "projector.hidden.q8",
  "projector.staged",
  "projector.resampler",
  "projector.windows",
  "projector.grid",
  "projector.rows",
  "projector.rows.q8",
  "projector.gate",
  "added.between",
  "added.product",
  "logits",
  "candidates",
] as const;
export type StepTensor = (typeof STEP_TENSORS)[number];

/**
 * What lives from step to step, or is read by other ranks at times that this rank does not see:
 *  - residual: the stream itself, from the first join to the last;
 *  - partials: others read one of them while this rank fills the other, also in the next step;
 *  - streams: all residual streams, as residual;
 *  - hyper.one, hyper.words: a block's end reads what its beginning has left;
 *  - gate.moments: others read them until the join behind the neurons;
 *  - token.inputs: others read it until the step's last layer;
 *  - state.first: the layers behind the first one read it;
 *  - indexer.lists: later layers may use what an earlier one has chosen;
 *  - resampler.sums: others read them until the step ends;
 *  - windows.sums: others read one while this rank fills the other;
 *  - squares, state.exchange: others read them until the join behind the one that they come with;
 *  - tokens, counts, recall: written once, or added to, over all steps;
 *  - widened, limited: what products use while they last, whichever they are;
 *  - ones, slopes: written once, when the rank starts;
 *  - guess.pairs, guess.q8, guess.fused: a guessing step has them across its first three joins;
 *  - guess.rows: the leader keeps them for guesses of later steps;
 *  - tables, added.table: the leader writes them between steps, where they change;
 *  - added.scales: written when a step begins.
 */
export const LASTING_TENSORS = [
  "residual",
  "streams",
  "hyper.one",
  "hyper.words",
  "gate.moments",
  "partial.0",
  "partial.1",
  "token.inputs",
  "resampler.sums",
  "windows.sums",
  "squares",
  "state.exchange",
  "state.first",
  "indexer.lists",
  "tokens",
  "counts",
  "recall",
  "tables",
  "added.table",
  "added.scales",
  "widened",
  "limited",
  "limited.q8",
  "ones",
  "slopes",
  "guess.pairs",
  "guess.q8",
  "guess.rows",
  "guess.fused",
] as const;
export type LastingTensor = (typeof LASTING_TENSORS)[number];
