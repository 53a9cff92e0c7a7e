/** What fetch says when there is no answer, without what surrounds it. */
import { messageOf } from "./errors.ts";

/** Why a request failed: the innermost reason. Deno says "fetch failed", and why in the cause. */
export function fetchReason(error: unknown): string {
  let innermost = error;
  while (innermost instanceof Error && innermost.cause instanceof Error) {
    innermost = innermost.cause;
  }
  const message = messageOf(innermost);
  return message.replace(/^error sending request for url \([^)]*\): /, "")
    .replace(/^client error \(\w+\): /, "")
    .replace(/^(?:dns|tcp connect) error: /, "")
    .replace(/ \(os error \d+\)$/, "");
}
