/** What reads an answer while it comes, and what it finds in it. Knows no format. */

/** Something new of an answer. */
export type Delta =
  | { readonly kind: "text"; readonly text: string }
  /** What the model thinks before it answers. */
  | { readonly kind: "reasoning"; readonly text: string }
  /** The call of that number begins; they count from 0. */
  | { readonly kind: "call"; readonly call: number; readonly id: string; readonly name: string }
  | { readonly kind: "arguments"; readonly call: number; readonly text: string };

/** Tells what is what in an answer, while it comes. */
export interface AnswerParser {
  /** Calls that have begun so far. */
  readonly callCount: number;
  /** What `text`, which `ids` added to the answer, brings. */
  push(text: string, ids?: readonly number[]): Delta[];
  /** What was held back, once no more text can come. */
  end(): Delta[];
}

/** What has been found and not been told yet; what goes on is one piece. */
export class DeltaList {
  #deltas: Delta[] = [];

  take(): Delta[] {
    const deltas = this.#deltas;
    this.#deltas = [];
    return deltas;
  }

  addCall(call: number, id: string, name: string): void {
    this.#deltas.push({ kind: "call", call, id, name });
  }

  addText(text: string, kind: "text" | "reasoning" = "text"): void {
    if (text === "") return;
    const last = this.#deltas.at(-1);
    if (last?.kind !== kind) this.#deltas.push({ kind, text });
    else this.#deltas[this.#deltas.length - 1] = { kind, text: last.text + text };
  }

  addArguments(call: number, text: string): void {
    if (text === "") return;
    const last = this.#deltas.at(-1);
    if (last?.kind !== "arguments") this.#deltas.push({ kind: "arguments", call, text });
    else this.#deltas[this.#deltas.length - 1] = { ...last, text: last.text + text };
  }
}
