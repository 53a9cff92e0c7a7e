/** Requests of many kinds, and what models answer to them alone and at once. */
import type { GenerateRequest, LoadedModel } from "../../src/llm/mod.ts";
import { Rng } from "./rng.ts";

/** What a request was answered: ids, and the log-probabilities of the best few of each. */
export interface Heard {
  readonly ids: readonly number[];
  readonly logprobs: readonly number[];
}

/** Long and short prompts, some that begin alike, greedy and seeded; answers of several lengths. */
export function someRequests(count: number, answerTokens = 40): GenerateRequest[] {
  const rng = new Rng(7);
  const common = Array.from({ length: 70 }, () => 3 + rng.int(500));
  return Array.from({ length: count }, (_, i) => {
    const own = Array.from({ length: 1 + rng.int(i % 3 === 0 ? 150 : 20) }, () => 3 + rng.int(500));
    const sampling = i % 2 === 0
      ? { temperature: 0 }
      : { temperature: 1.2, topK: 0, seed: i, repeatPenalty: 1.1, logitBias: new Map([[9, 2]]) };
    return {
      ids: i % 4 === 1 ? [...common, ...own] : own,
      maxTokens: Math.max(2, answerTokens - 3 * i),
      sampling,
      ignoreEnd: true,
    };
  });
}

/** Answers of each by itself, one after the other. */
export async function hearAlone(
  model: LoadedModel,
  requests: readonly GenerateRequest[],
): Promise<Heard[]> {
  const heard: Heard[] = [];
  for (const request of requests) heard.push(await hear(model, request));
  return heard;
}

/** Answers of all that are asked at once. */
export function hearTogether(
  model: LoadedModel,
  requests: readonly GenerateRequest[],
): Promise<Heard[]> {
  return Promise.all(requests.map((request) => hear(model, request)));
}

async function hear(model: LoadedModel, request: GenerateRequest): Promise<Heard> {
  const [ids, logprobs]: [number[], number[]] = [[], []];
  for await (const chunk of model.generate({ ...request, logprobs: 3 })) {
    ids.push(...chunk.ids);
    for (const { logprob, top } of chunk.logprobs ?? []) {
      logprobs.push(logprob, ...top.map((each) => each.logprob));
    }
  }
  return { ids, logprobs };
}
