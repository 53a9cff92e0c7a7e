/** What plans add up. */
import { TYPICAL_REQUEST } from "./calibration.ts";
import type { ExpectedDecode, MemoryRegion } from "./plan_types.ts";

/** Seconds of a typical request. */
export function requestSeconds({ expected, prefillTokensPerSecond }: {
  readonly expected: ExpectedDecode;
  readonly prefillTokensPerSecond: number;
}): number {
  const { promptTokens, answerTokens } = TYPICAL_REQUEST;
  return promptTokens / prefillTokensPerSecond + answerTokens / expected.tokensPerSecond;
}

export function total(regions: readonly MemoryRegion[]): number {
  return sum(regions.map(({ bytes }) => bytes));
}

export function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}
