/** Requests answered on the test's own thread. */
import type { Leader } from "../../src/engine/leader.ts";
import type { EngineRequest, EngineResult } from "../../src/engine/types.ts";

/** Runs steps until the request is answered. @throws what it fails with. */
export function answerNow(leader: Leader, request: EngineRequest, slot = 0): EngineResult {
  let result: EngineResult | null = null;
  let thrown: { readonly error: unknown } | null = null;
  leader.begin(request, slot, {
    done: (given) => result = given,
    failed: (error) => thrown = { error },
  });
  while (leader.hasWork) leader.step();
  if (thrown !== null) throw (thrown as { readonly error: unknown }).error;
  return result!;
}
