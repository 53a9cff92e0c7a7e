/** Lengths of states that kernels take. */
import { UnsupportedModelError } from "../../base/errors.ts";

/** Kernels take so many channels, and so many numbers of a state, at a time. */
const UNIT = 4;

/** @throws {UnsupportedModelError} unless kernels can take these lengths. */
export function requireUnits(...lengths: readonly number[]): void {
  const odd = lengths.find((length) => length % UNIT !== 0);
  if (odd === undefined) return;
  throw new UnsupportedModelError(
    `Cannot run this model: its state spaces have a length of ${odd}, this version needs a ` +
      `multiple of ${UNIT}: use a model of another shape`,
  );
}
