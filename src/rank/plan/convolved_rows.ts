/** Rows that two convolutions make at a time: what is between them stays in the cache. */
export const CONVOLVED_ROWS = 64;
