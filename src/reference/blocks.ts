/**
 * The pieces that a transformer of any family is made of, as formulas over its weights in f64:
 * projections, norms, feed-forward blocks dense and of experts. Knows no positions and no layers.
 */
import { check } from "../base/check.ts";
import type {
  ApartTensors,
  DenseTensors,
  ExpertsConfig,
  ExpertTensors,
  HeadNormTensors,
  LayerConfig,
  MatrixTensor,
  ModelConfig,
  NormTensors,
  SwigluLimit,
  VectorTensor,
  XieluCurve,
} from "../model/mod.ts";
import {
  activate,
  activateMul,
  clamp,
  cutBelow,
  cutOffRows,
  layerNorm,
  xielu,
} from "./activation_ops.ts";
import { add, addBias, each, matmul, type Numbers, rmsNorm } from "./ops.ts";
import { chooseExperts, sigmoid } from "./routing.ts";
import type { ReferenceWeights } from "./weights.ts";

/** Is shown an intermediate by name. */
export type Show = (name: string, data: Float64Array) => Float64Array;

/** What a feed-forward block reads. */
export interface FeedForwardInputs {
  /** Normalised input of the neurons, [n, d]. */
  readonly h: Float64Array;
  /** The residual stream at the layer's beginning, [n, d]. */
  readonly layerInput: Float64Array;
  /** What `h` is the norm of, [n, d]: predictors read it. */
  readonly residual: Float64Array;
  /** Dense neurons whose |act(gate)| is not above it are silent; left out: none for that. */
  readonly threshold?: number;
  /** As a layer's: where dense neurons' gates are cut off. */
  readonly gateCutoff?: number;
  /** Of the layer's xIELU. */
  readonly curve?: XieluCurve;
  /** Of its tokens, where these say which experts they use. */
  readonly ids?: readonly number[];
  /** Of the layer's SwiGLU. */
  readonly limits?: LayerConfig["limits"];
  /** The layer's mixture. Left out: the model's. */
  readonly experts?: ModelConfig["experts"];
}

/** What a mixture reads, each [n, width], and its router's logits, [n, experts]. */
interface MixtureInputs extends Record<"h" | "residual" | "router", Float64Array> {
  readonly experts: ExpertsConfig;
}

/** Blocks of one model. */
export class ReferenceBlocks {
  readonly #config: ModelConfig;
  readonly #weights: ReferenceWeights;
  readonly #usesPredictors: boolean;

  constructor(
    config: ModelConfig,
    weights: ReferenceWeights,
    options: { usesPredictors?: boolean } = {},
  ) {
    this.#config = config;
    this.#weights = weights;
    this.#usesPredictors = options.usesPredictors ?? false;
  }

  /** W · h + b, [n, rows]; h [n, columns]. */
  project(h: Float64Array, matrix: MatrixTensor): Float64Array {
    const { limits } = matrix;
    const x = limits ? this.#limit(h, limits.inputMin, limits.inputMax) : h;
    const given = this.#weights.multiply(matrix, x);
    const product = limits ? this.#limit(given, limits.outputMin, limits.outputMax) : given;
    return matrix.bias === null ? product : addBias(product, this.#weights.vector(matrix.bias));
  }

  #limit(x: Float64Array, least: VectorTensor | null, most: VectorTensor | null): Float64Array {
    const [low] = least ? this.#weights.vector(least) : [-Infinity];
    const [high] = most ? this.#weights.vector(most) : [Infinity];
    return x.map((value) => Math.min(Math.max(value, low), high));
  }

  /**
   * x + s · norm(part), what a block gives; in some models norm(x + s · part). share: of what is
   * added.
   */
  join(
    x: Float64Array,
    part: Float64Array,
    tensors: NormTensors | null,
    share = 1,
  ): Float64Array {
    const { residualScale, normalizesSums, norm: { postEpsilon } } = this.#config;
    const added = normalizesSums ? part : this.norm(part, tensors, postEpsilon);
    const sum = add(x, added.map((value) => value * share * residualScale));
    return normalizesSums ? this.norm(sum, tensors, postEpsilon) : sum;
  }

  /** norm(x), [n, d]; x itself where the model has no norm. */
  norm(
    x: Float64Array,
    tensors: NormTensors | null,
    epsilon = this.#config.norm.epsilon,
  ): Float64Array {
    if (tensors === null) return x;
    const { kind } = this.#config.norm;
    const width = this.#config.embeddingLength;
    const weight = tensors.weight ? this.#weights.vector(tensors.weight) : ones(width);
    const bias = tensors.bias && this.#weights.vector(tensors.bias);
    if (kind === "layer") return layerNorm(x, { weight, bias, epsilon });
    const normalised = rmsNorm(x, weight, epsilon);
    return bias ? addBias(normalised, bias) : normalised;
  }

  /** The last norm, [n, d]; where sums are normalised it is of one, too. */
  lastNorm(x: Float64Array, tensors: NormTensors | null): Float64Array {
    const { normalizesSums, norm: { epsilon, postEpsilon = epsilon } } = this.#config;
    return this.norm(x, tensors, normalizesSums ? postEpsilon : epsilon);
  }

  /** Queries, keys or values [n, heads, headDim], each head or each token normalised. */
  headNorm(x: Float64Array, tensors: HeadNormTensors | null, headDim: number): Float64Array {
    if (tensors === null) return x;
    const { kind, epsilon } = this.#config.headNorm ?? this.#config.norm;
    const weight = tensors.weight ? this.#weights.vector(tensors.weight) : ones(headDim);
    const plain = ones(tensors.span === "head" ? headDim : weight.length);
    const normalised = kind === "rms"
      ? rmsNorm(x, plain, epsilon)
      : layerNorm(x, { weight: plain, bias: null, epsilon });
    const weighed = normalised.map((value, i) => value * weight[i % weight.length]);
    if (tensors.gain) {
      const gain = this.#weights.vector(tensors.gain);
      return weighed.map((value, i) => value * gain[Math.floor(i / headDim) % gain.length]);
    }
    return tensors.bias ? addBias(weighed, this.#weights.vector(tensors.bias)) : weighed;
  }

  /** What heads or neurons give together, normalised, [n, weights]; or as it is. */
  innerNorm(x: Float64Array, weight: VectorTensor | undefined): Float64Array {
    if (weight === undefined) return x;
    return rmsNorm(x, this.#weights.vector(weight), this.#config.norm.epsilon);
  }

  /** What the block adds to the residual stream, [n, d]. */
  feedForward(
    inputs: FeedForwardInputs,
    tensors: DenseTensors | ExpertTensors,
    show: Show,
  ): Float64Array {
    const { h, layerInput, residual, limits, experts = this.#config.experts, ...by } = inputs;
    if (tensors.kind === "dense") {
      const predicted = this.#usesPredictors ? this.#predict(residual, tensors) : null;
      return this.#dense(h, tensors, show, { predicted, limit: limits?.others, ...by });
    }
    check(experts !== null, "a dense model has no experts");
    if (tensors.apart !== null) {
      return this.#mixApart({ h, residual, experts }, tensors, tensors.apart);
    }
    const { inputNorm, shared } = tensors;
    if (inputNorm !== undefined) {
      const own = show("experts norm", this.norm(layerInput, inputNorm));
      const router = show("router", this.project(own, tensors.router));
      const read = { h: own, residual, router, experts };
      const mixed = this.#mix(read, { ...tensors, shared: null }, limits);
      return shared === null ? mixed : add(mixed, this.#dense(h, shared, (_, data) => data));
    }
    const reads = experts.routerInput === "layerInput" ? layerInput : h;
    const router = show("router", this.project(reads, tensors.router));
    const read = { h, residual, router, experts };
    if (tensors.latent) return this.#mixLatents(read, tensors, show);
    return this.#mix(read, tensors, limits, by.ids);
  }

  /** Wup · norm(experts(Wdown · h)) + shared(h). */
  #mixLatents(
    { h, ...others }: MixtureInputs,
    tensors: ExpertTensors,
    show: Show,
  ): Float64Array {
    const { down, norm, up } = tensors.latent!;
    const own = { ...others, h: show("latent", this.project(h, down)) };
    const mixed = this.#mix(own, { ...tensors, shared: null });
    const given = this.project(this.innerNorm(mixed, norm ?? undefined), up);
    const { shared } = tensors;
    return shared === null ? given : add(given, this.#dense(h, shared, (_, data) => data));
  }

  /** post(shared(norm(x))) + post(experts(norm(x))), chosen by a third norm of x over √d. */
  #mixApart(
    { h, residual, experts }: Omit<MixtureInputs, "router">,
    tensors: ExpertTensors,
    { routerNorm, sharedNorm, sharedPostNorm, expertsPostNorm }: ApartTensors,
  ): Float64Array {
    const { embeddingLength: d } = this.#config;
    const read = this.norm(residual, routerNorm).map((value) => value / Math.sqrt(d));
    const router = this.project(read, tensors.router);
    const mixed = this.#mix({ h, residual, router, experts }, { ...tensors, shared: null });
    const shared = this.#dense(this.norm(residual, sharedNorm), tensors.shared!, (_, data) => data);
    return add(this.norm(shared, sharedPostNorm), this.norm(mixed, expertsPostNorm));
  }

  /** 1 for neurons whose Wsecond · relu(Wfirst · r) is at least the threshold, else 0; or null. */
  #predict(residual: Float64Array, { predictor }: DenseTensors): Float64Array | null {
    if (predictor === null) return null;
    const { predictorThreshold } = this.#config;
    const between = activate("relu", this.project(residual, predictor.first));
    const logits = this.project(between, predictor.second);
    return logits.map((logit) => logit >= predictorThreshold ? 1 : 0);
  }

  /**
   * Wdown · (act(Wgate·h) · (Wup·h)), or Wdown · act(Wup·h) without a gate; neurons that are not
   * predicted count as 0.
   */
  #dense(
    h: Float64Array,
    tensors: DenseTensors,
    show: Show,
    by: Pick<FeedForwardInputs, "threshold" | "gateCutoff" | "curve"> & {
      predicted?: Float64Array | null;
      limit?: SwigluLimit | null;
    } = {},
  ): Float64Array {
    const { predicted, threshold, gateCutoff, curve, limit } = by;
    const { activation, activatesUp, firingThreshold, softCaps } = this.#config.feedForward;
    const decide = (x: Float64Array) => firingThreshold > 0 ? cutBelow(x, firingThreshold) : x;
    const cutOff = (x: Float64Array) =>
      gateCutoff === undefined ? x : cutOffRows(x, tensors.up.rows, gateCutoff);
    const gate = tensors.gate && decide(show("gate", cutOff(this.project(h, tensors.gate))));
    const product = show("up", this.project(h, tensors.up));
    const act = (x: Numbers) => activation === "xielu" ? bend(x, curve) : activate(activation, x);
    const up = activatesUp ? act(product) : product;
    const neurons = gate && softCaps
      ? gate.map((x, i) => capped(x, softCaps.gate) * sigmoid(x) * capped(up[i], softCaps.up))
      : gate && limit
      ? act(gate).map((value, i) => Math.min(value, limit.gate) * clamp([up[i]], limit.up)[0])
      : gate && activation !== "xielu"
      ? activateMul(activation, gate, up)
      : act(decide(product));
    const isQuiet = threshold === undefined
      ? () => false
      : (i: number) => Math.abs(act([(gate ?? product)[i]])[0]) <= threshold;
    const kept = neurons.map((value, i) => isQuiet(i) || predicted?.[i] === 0 ? 0 : value);
    const { down, isDownTransposed, innerNorm } = tensors;
    const hidden = this.innerNorm(show("neurons", kept), innerNorm);
    if (!isDownTransposed) return this.project(hidden, down);
    const out = matmul(this.#weights.transposed(down), hidden, down.rows);
    return down.bias === null ? out : addBias(out, this.#weights.vector(down.bias));
  }

  /** Σ weight · expert(h) over the chosen experts of each token, and the shared one's part. */
  #mix(
    { h, residual, router, experts }: MixtureInputs,
    tensors: ExpertTensors,
    limits?: LayerConfig["limits"],
    ids?: readonly number[],
  ): Float64Array {
    const { embeddingLength } = this.#config;
    const width = experts.latentLength ?? embeddingLength;
    const choiceBias = tensors.choiceBias && this.#weights.vector(tensors.choiceBias);
    const scales = tensors.scales && this.#weights.vector(tensors.scales);
    const downBiases = tensors.downBiases && this.#weights.vector(tensors.downBiases);
    const table = tensors.expertsOfTokens && this.#weights.vector(tensors.expertsOfTokens);
    const { usedCount } = experts;
    const listed = (t: number) =>
      table && Array.from(table.subarray(ids![t] * usedCount, (ids![t] + 1) * usedCount));
    const out = new Float64Array(h.length);
    for (let t = 0; t < h.length / width; t++) {
      const token = h.subarray(t * width, (t + 1) * width);
      const logits = router.subarray(t * experts.count, (t + 1) * experts.count);
      const shares = chooseExperts(logits, choiceBias, { ...experts, listed: listed(t) })
        .flatMap(({ expert, weight }) => [{
          dense: tensors.experts[expert],
          weight: weight * (scales?.[expert] ?? 1),
          bias: downBiases?.subarray(expert * width, (expert + 1) * width),
        }, ...this.#companion(expert, weight, tensors)]);
      if (tensors.shared) {
        const weight = this.#shared(token, tensors);
        shares.push({ dense: tensors.shared, weight, bias: undefined });
      }
      for (const { dense, weight, bias } of shares) {
        const stream = residual.subarray(t * embeddingLength, (t + 1) * embeddingLength);
        const predicted = this.#usesPredictors ? this.#predict(stream, dense) : null;
        const [before, behind] = experts.weighsInputs && dense !== tensors.shared
          ? [weight, 1]
          : [1, weight];
        const reads = token.map((value) => value * before);
        const limit = dense === tensors.shared ? limits?.others : limits?.experts;
        const part = this.#dense(reads, dense, (_, data) => data, { predicted, limit });
        for (let i = 0; i < width; i++) {
          out[t * width + i] += behind * (part[i] + (bias?.[i] ?? 0));
        }
      }
    }
    return out;
  }

  /** What goes along with an expert that counts `weight`, if anything does. */
  #companion(expert: number, weight: number, { companions }: ExpertTensors) {
    const { companions: of } = this.#config.experts!;
    if (of === undefined || companions === undefined) return [];
    const dense = companions[Math.floor(expert / of.groupSize)];
    return [{ dense, weight: weight * of.weight, bias: undefined }];
  }

  /** How much of the shared expert a token takes. */
  #shared(token: Float64Array, { sharedGate }: ExpertTensors): number {
    if (sharedGate === null) return this.#config.experts?.sharedWeight ?? 1;
    return sigmoid(this.project(token, sharedGate)[0]);
  }
}

/** cap · tanh(x / cap); 0: x. */
function capped(x: number, cap: number): number {
  return cap === 0 ? x : cap * Math.tanh(x / cap);
}

/** xIELU of x[i]. */
function bend(x: Numbers, curve: XieluCurve | undefined): Float64Array {
  check(curve !== undefined, "layers with xIELU have curves");
  return each(x, (value) => xielu(value, curve));
}

function ones(length: number): Float32Array {
  return new Float32Array(length).fill(1);
}
