/**
 * Formulas beside those of ops.ts: activations, the norms that not every model has, scales, soft
 * caps, rows by a list. Plain loops, f64; the judges of the kernels of the same names.
 */
import type { ModelConfig, XieluCurve } from "../model/mod.ts";
import { each, type Numbers } from "./ops.ts";

/** What a neuron does with its input. */
export const ACTIVATION_NAMES = [
  "silu",
  "gelu",
  "quickGelu",
  "relu",
  "relu2",
  "swiglu7",
] as const;
export type ActivationName = typeof ACTIVATION_NAMES[number];

/** Gates above it, and ups beyond ± it, count as it. */
const SWIGLU_LIMIT = 7;
const SWIGLU_STEEPNESS = 1.702;
const QUICK_GELU_STEEPNESS = 1.702;

/** x/2 · (1 + erf(x/√2)). */
export function geluErf(x: number): number {
  const z = Math.abs(x) / Math.SQRT2;
  if (z > 6) return Math.max(0, x);
  // erf(z) = 2/√π · e^(−z²) · (z + 2z³/3 + 4z⁵/15 + …): no term takes another's digits.
  let term = z, sum = z;
  for (let n = 1; term > sum * 1e-17; n++) sum += term *= 2 * z * z / (2 * n + 1);
  const erf = Math.sign(x) * 2 / Math.sqrt(Math.PI) * Math.exp(-z * z) * sum;
  return x / 2 * (1 + erf);
}

/**
 * silu(x) = x / (1 + exp(−x)); gelu(x) = x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³)));
 * geluErf(x) = x/2 · (1 + erf(x/√2)); quickGelu(x) = x / (1 + exp(−1.702·x));
 * relu(x) = max(0, x); relu2(x) = relu(x)²;
 * swiglu7(x) = y / (1 + exp(−1.702·y)), y = min(x, 7).
 */
export function activation(name: ActivationName | "geluErf", x: number): number {
  switch (name) {
    case "silu":
      return x / (1 + Math.exp(-x));
    case "gelu":
      // 1 + tanh(u) = 2 / (1 + exp(−2u)), which keeps its digits where tanh is near −1.
      return x / (1 + Math.exp(-2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    case "geluErf":
      return geluErf(x);
    case "quickGelu":
      return x / (1 + Math.exp(-QUICK_GELU_STEEPNESS * x));
    case "relu":
      return Math.max(0, x);
    case "relu2":
      return Math.max(0, x) ** 2;
    case "swiglu7": {
      const gate = Math.min(x, SWIGLU_LIMIT);
      return gate / (1 + Math.exp(-SWIGLU_STEEPNESS * gate));
    }
  }
}

/** p·x² + b·x where x > 0, else n·(exp(min(x, e)) − 1 − x) + b·x. */
export function xielu(
  x: number,
  { negative: n, positive: p, linear: b, least: e }: XieluCurve,
): number {
  return b * x + (x > 0 ? p * x * x : n * (Math.expm1(Math.min(x, e)) - x));
}

/** act(x[i]). */
export function activate(name: ActivationName | "geluErf", x: Numbers): Float64Array {
  return each(x, (value) => activation(name, value));
}

/** x[i], within −limit .. limit. */
export function clamp(x: Numbers, limit: number): Float64Array {
  return each(x, (value) => Math.min(Math.max(value, -limit), limit));
}

/** x[i], but 0 where x[i] < threshold. */
export function cutBelow(x: Numbers, threshold: number): Float64Array {
  return each(x, (value) => value < threshold ? 0 : value);
}

/**
 * max(0, x[t, i] − (mean of x[t] + deviations · its standard deviation)), x [n, width]; the
 * variance is that of a sample: Σ (x − mean)² / (width − 1).
 */
export function cutOffRows(x: Numbers, width: number, deviations: number): Float64Array {
  const out = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += width) {
    let mean = 0;
    for (let i = 0; i < width; i++) mean += x[start + i] / width;
    let squares = 0;
    for (let i = 0; i < width; i++) squares += (x[start + i] - mean) ** 2;
    const cutoff = mean + deviations * Math.sqrt(squares / (width - 1));
    for (let i = 0; i < width; i++) out[start + i] = Math.max(0, x[start + i] - cutoff);
  }
  return out;
}

/** act(gate[i]) · up[i]; swiglu7: act(gate[i]) · (clamp(up[i], −7, 7) + 1). */
export function activateMul(
  name: ActivationName | "geluErf",
  gate: Numbers,
  up: Numbers,
): Float64Array {
  const factor = (x: number) =>
    name === "swiglu7" ? Math.max(-SWIGLU_LIMIT, Math.min(x, SWIGLU_LIMIT)) + 1 : x;
  return each(gate, (value, i) => activation(name, value) * factor(up[i]));
}

/**
 * out[t, i] = (x[t, i] − mean) / sqrt(variance + epsilon) · weight[i] + bias[i]; x [n, d],
 * weight [d], bias [d] or null.
 */
export function layerNorm(
  x: Numbers,
  { weight, bias, epsilon }: { weight: Numbers; bias: Numbers | null; epsilon: number },
): Float64Array {
  const d = weight.length;
  const out = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += d) {
    let mean = 0;
    for (let i = 0; i < d; i++) mean += x[start + i] / d;
    let variance = 0;
    for (let i = 0; i < d; i++) variance += (x[start + i] - mean) ** 2 / d;
    const factor = 1 / Math.sqrt(variance + epsilon);
    for (let i = 0; i < d; i++) {
      out[start + i] = (x[start + i] - mean) * factor * weight[i] + (bias?.[i] ?? 0);
    }
  }
  return out;
}

/** out[t] = Σ_i x[t, i]²; x [n, d]. */
export function rowSquares(x: Numbers, d: number): Float64Array {
  const out = new Float64Array(x.length / d);
  for (let i = 0; i < x.length; i++) out[Math.floor(i / d)] += x[i] * x[i];
  return out;
}

/** cap · tanh(x[i] / cap). */
export function softCap(x: Numbers, cap: number): Float64Array {
  return each(x, (value) => cap * Math.tanh(value / cap));
}

/** Logits [n, vocabSize] as the model scales and caps them; −∞ of tokens that are never said. */
export function capLogits(
  logits: Float64Array,
  { logitScale, logitSoftCap, vocabSize, silencedTokens: silenced = [] }: ModelConfig,
): Float64Array {
  const scaled = logits.map((value) => value * logitScale);
  const capped = logitSoftCap === 0 ? scaled : softCap(scaled, logitSoftCap);
  for (let row = 0; row < capped.length; row += vocabSize) {
    for (const { start, end } of silenced) capped.fill(-Infinity, row + start, row + end);
  }
  return capped;
}
