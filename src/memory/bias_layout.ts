/**
 * How biases of scores by distance lie in an arena: f32 [heads, BIAS_SPAN], of each head those of
 * distances −BIAS_MAX to BIAS_MAX from a token to what it sees. Integer constants only: read by
 * TypeScript and by AssemblyScript alike.
 */

/** Farther away a bias stays what it is there. */
export const BIAS_REACH = 128;
/** Three distances more: four neighbours are loaded at once, wherever the first of them is. */
export const BIAS_MAX = 131;
export const BIAS_SPAN = 263;
