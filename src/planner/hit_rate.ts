/**
 * How many of the neurons that fire are in a cache of so many slots, from their rates. Pure
 * arithmetic over histograms.
 *
 * The hot region has the most frequent neurons, always. The rest leave by least recent use. Che's
 * approximation (Che, Tung, Wang 2002): who fired within the last T tokens is there, and T is what
 * makes that as many neurons as there are slots. A neuron has its turn once a token, always at the
 * same place, so within T tokens it had ⌊T⌋ turns before the one at which it is looked for, and is
 * found with probability 1 − (1 − p)^⌊T⌋. T itself is not sharp; a few percent of blur tell so.
 * tests/planner holds it against the cache itself on random firings: which finds more where it
 * remembers hardly more than a token, since its victims are random among those of one step. Texts
 * repeat themselves, so real rates are higher, too.
 */
import type { RateBin } from "./firing_rates.ts";

const BLUR = [0.97, 1, 1.03] as const;

/** Share of firings that find their neuron among `slots`, the most frequent `hot` of which stay. */
export function hitRate(bins: readonly RateBin[], slots: number, hot: number): number {
  const firings = bins.reduce((sum, { rate, neurons }) => sum + rate * neurons, 0);
  const all = bins.reduce((sum, { neurons }) => sum + neurons, 0);
  if (firings === 0 || slots >= all) return 1;
  const { kept, rest } = split(bins, Math.min(slots, hot));
  const tokens = tokensRemembered(rest, slots - hot);
  const turns = BLUR.map((factor) => Math.floor(factor * tokens));
  const found = rest.reduce(
    (sum, { rate, neurons }) => sum + rate * neurons * mean(turns.map((n) => seenIn(n, rate))),
    kept,
  );
  return Math.min(1, found / firings);
}

/** The rates of units that so many sequences decode side by side. */
export function ratesOfBatch(bins: readonly RateBin[], sequences: number): RateBin[] {
  return bins.map(({ rate, neurons }) => ({ rate: 1 - (1 - rate) ** sequences, neurons }));
}

/** Firings of the most frequent neurons, and the others. */
function split(bins: readonly RateBin[], hot: number): { kept: number; rest: RateBin[] } {
  let kept = 0;
  const rest: RateBin[] = [];
  for (const { rate, neurons } of bins) {
    const taken = Math.min(neurons, hot);
    hot -= taken;
    kept += taken * rate;
    if (neurons > taken) rest.push({ rate, neurons: neurons - taken });
  }
  return { kept, rest };
}

/** T: for how many tokens `slots` remember who fired. */
function tokensRemembered(bins: readonly RateBin[], slots: number): number {
  const filled = (tokens: number) =>
    bins.reduce((sum, { rate, neurons }) => sum + neurons * shareSeen(rate, tokens), 0);
  let high = 1;
  while (filled(high) < slots) {
    high *= 2;
    if (high > 1e12) return high;
  }
  let low = 0;
  for (let step = 0; step < 50; step++) {
    const middle = (low + high) / 2;
    if (filled(middle) < slots) low = middle;
    else high = middle;
  }
  return high;
}

/** Probability that a neuron fired in `turns` tokens. */
function seenIn(turns: number, rate: number): number {
  return 1 - (1 - rate) ** turns;
}

/** The same of the last T tokens: of a part of a token, a neuron in proportion had its turn. */
function shareSeen(rate: number, tokens: number): number {
  const turns = Math.floor(tokens);
  const part = tokens - turns;
  return (1 - part) * seenIn(turns, rate) + part * seenIn(turns + 1, rate);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
