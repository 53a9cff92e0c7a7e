/** Why a model did not come, as a whole sentence, and as one of a few kinds. */
import { brief } from "../base/errors.ts";
import { isDiskFull } from "../base/write_errors.ts";
import { ChangedError, RequestFault } from "./fault.ts";
import type { PullObstacle } from "./fault.ts";
import { quote } from "./reference.ts";

/** A pull that ended without its model. */
export class PullError extends Error {
  override readonly name = "PullError";
  readonly obstacle: PullObstacle;

  /** `message` says what, why and what to do. */
  constructor(message: string, obstacle: PullObstacle, options?: ErrorOptions) {
    super(brief(message), options);
    this.obstacle = obstacle;
  }
}

/** What went wrong on the way, as a whole sentence; any other error as it is. */
export function explainPull(error: unknown, source: string): unknown {
  if (isDiskFull(error)) {
    const { message, cause } = error as Error;
    const text = `${message}: what came is kept: pull again to go on`;
    return new PullError(text, "disk_full", { cause });
  }
  if (error instanceof ChangedError) {
    const text = `Cannot pull ${source}: ${error.message}, again and again: try later`;
    return new PullError(text, "failed");
  }
  if (!(error instanceof RequestFault)) return error;
  const advice = error.isPassing ? ": what came is kept: pull again to go on" : "";
  const text = `Cannot pull ${quote(source).slice(1, -1)}: ${error.message}${advice}`;
  return new PullError(text, error.obstacle, { cause: error });
}
