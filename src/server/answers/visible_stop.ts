/**
 * Stop strings in what a client sees as an answer's text: not in thoughts, nor in calls, nor in
 * what marks them.
 */
import { StopText } from "../../llm/stop_text.ts";
import type { Delta } from "../tools/answer_parser.ts";

export class VisibleStop {
  readonly #stop: StopText;

  constructor(stops: readonly string[]) {
    this.#stop = new StopText(stops);
  }

  /** True once a stop string was seen: nothing behind it is passed on. */
  get isStopped(): boolean {
    return this.#stop.isStopped;
  }

  /** The stop string that was seen; null: none yet. */
  get found(): string | null {
    return this.#stop.found;
  }

  /** What of `deltas` can be shown; the end of a text may be held back. */
  push(deltas: readonly Delta[]): Delta[] {
    const shown: Delta[] = [];
    for (const delta of deltas) {
      if (this.#stop.isStopped) break;
      if (delta.kind === "text") shown.push(...textOf(this.#stop.push(delta.text)));
      // A stop string does not reach across thoughts and calls.
      else shown.push(...this.end(), delta);
    }
    return shown;
  }

  /** What was held back, once no more text can come. */
  end(): Delta[] {
    return textOf(this.#stop.flush());
  }
}

function textOf(text: string): Delta[] {
  return text === "" ? [] : [{ kind: "text", text }];
}
