/** What neurons do with what reaches them: part of types.ts. */

/**
 * act(g): silu = g·sigmoid(g); gelu by tanh; geluErf by the error function, never gated;
 * quickGelu = g·sigmoid(1.702·g); relu = max(0, g); relu2 = max(0, g)². swiglu7 is gpt-oss's:
 * g·sigmoid(1.702·g) of min(g, 7), times clamp(u, −7, 7) + 1 instead of u; always gated.
 * xielu: see `XieluCurve`; never gated.
 */
export type Activation =
  | "silu"
  | "gelu"
  | "geluErf"
  | "quickGelu"
  | "relu"
  | "relu2"
  | "swiglu7"
  | "xielu";

/**
 * Numbers of a layer's xIELU, the activation of Apertus: p·x² + b·x where x > 0, else
 * n·(exp(min(x, e)) − 1 − x) + b·x.
 */
export interface XieluCurve {
  /** n. */
  readonly negative: number;
  /** p. */
  readonly positive: number;
  /** b. */
  readonly linear: number;
  /** e: exp is not asked above it. */
  readonly least: number;
}

/** How far SwiGLU goes: silu(g) to `gate` at most, u to ± `up`. */
export interface SwigluLimit {
  readonly gate: number;
  readonly up: number;
}
