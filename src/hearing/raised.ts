/** Samples whose high notes are raised, as NVIDIA's encoders hear them. */

/** Of a sample, what the next one lacks. */
const EMPHASIS = 0.97;

export function raised(samples: Float32Array): Float32Array {
  return samples.map((value, i) => i === 0 ? value : value - EMPHASIS * samples[i - 1]);
}
