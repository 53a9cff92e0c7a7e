/**
 * AdamW: Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (arXiv:1711.05101),
 * algorithm 2.
 */

/** Numbers that belong together, all of one length. */
export interface Parameters {
  readonly weights: Float32Array;
  /** Running mean of the gradient. */
  readonly mean: Float32Array;
  /** Running mean of the gradient's square. */
  readonly square: Float32Array;
}

const BETA_1 = 0.9;
const BETA_2 = 0.999;
const EPSILON = 1e-8;
/** Below, a mean is nothing; subnormal numbers would make every operation on it slow. */
const MEAN_MIN = 1e-30;

/** Counts steps and updates parameters. */
export class AdamW {
  readonly #weightDecay: number;
  #step = 0;

  constructor(weightDecay: number) {
    this.#weightDecay = weightDecay;
  }

  /** Begins a step, in which every parameter is updated once. */
  beginStep(): void {
    this.#step++;
  }

  /** Moves parameters `first` .. by their gradient, whose length says how many they are. */
  update(
    { weights, mean, square }: Parameters,
    { first, gradient, rate }: { first: number; gradient: Float32Array; rate: number },
  ): void {
    const correction2 = 1 / (1 - BETA_2 ** this.#step);
    const step = rate / (1 - BETA_1 ** this.#step);
    const keep = 1 - rate * this.#weightDecay;
    for (let i = 0; i < gradient.length; i++) {
      const g = gradient[i];
      const at = first + i;
      let m = BETA_1 * mean[at] + (1 - BETA_1) * g;
      if (m < MEAN_MIN && m > -MEAN_MIN) m = 0;
      const v = BETA_2 * square[at] + (1 - BETA_2) * g * g;
      mean[at] = m;
      square[at] = v < MEAN_MIN ? 0 : v;
      weights[at] = weights[at] * keep - step * m / (Math.sqrt(v * correction2) + EPSILON);
    }
  }
}
