/** Lines that somebody types, with what terminals can do, or that a pipe brings. */
import process from "node:process";
import { createInterface, type Interface } from "node:readline";
import { writeErrorLine } from "../output.ts";

export type TypedLine =
  | { readonly kind: "line"; readonly text: string }
  /** What was being typed is not meant any more. */
  | { readonly kind: "cancelled" }
  | { readonly kind: "end" };

export interface LineSource extends Disposable {
  readonly isTerminal: boolean;
  /** The next line; `prompt` stands before it on a terminal. */
  next(prompt: string): Promise<TypedLine>;
}

/** Lines of a pipe or a file. */
export class PipedLines implements LineSource {
  readonly isTerminal = false;
  readonly #lines: AsyncGenerator<string>;

  constructor(input: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#lines = readLines(input);
  }

  async next(): Promise<TypedLine> {
    const { done, value } = await this.#lines.next();
    return done ? { kind: "end" } : { kind: "line", text: value };
  }

  [Symbol.dispose](): void {}
}

async function* readLines(input: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const piece of input.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split(/\r?\n/);
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}

export interface TerminalOptions {
  /** Lines of earlier times, the newest first. */
  readonly history: readonly string[];
  /** What a word may become by Tab. */
  readonly complete: (line: string) => readonly string[];
}

const HISTORY_LINES = 1000;

/**
 * Lines of a terminal: edited, with history. Between lines the terminal is as it was, but that a
 * Ctrl-C which nobody waits for (an answer ended as it was pressed) does not end the program.
 */
export class TerminalLines implements LineSource {
  readonly isTerminal = true;
  readonly #interface: Interface;
  /** Typed or pasted before they were asked for. */
  readonly #waiting: string[] = [];
  #hasEnded = false;
  #wantsToLeave = false;
  #wake = () => {};
  readonly #stray = () => {};

  constructor({ history, complete }: TerminalOptions) {
    this.#interface = createInterface({
      input: process.stdin,
      output: process.stderr.isTTY ? process.stderr : process.stdout,
      terminal: true,
      history: [...history],
      historySize: HISTORY_LINES,
      removeHistoryDuplicates: true,
      completer: (line: string): [string[], string] => [[...complete(line)], line],
    });
    this.#interface.on("line", (line: string) => {
      this.#waiting.push(line);
      this.#wake();
    });
    this.#interface.on("close", () => {
      this.#hasEnded = true;
      this.#wake();
    });
    Deno.addSignalListener("SIGINT", this.#stray);
    this.#rest();
  }

  async next(prompt: string): Promise<TypedLine> {
    let isCancelled = false;
    const cancel = () => {
      if (this.#interface.line === "" && this.#wantsToLeave) return this.#interface.close();
      this.#wantsToLeave = this.#interface.line === "";
      writeErrorLine(this.#wantsToLeave ? "\nCtrl-C again, or /bye, leaves." : "");
      // The line goes, wherever in it the cursor is.
      this.#interface.write(null, { ctrl: true, name: "e" });
      this.#interface.write(null, { ctrl: true, name: "u" });
      isCancelled = true;
      this.#wake();
    };
    if (this.#waiting.length === 0 && !this.#hasEnded) {
      this.#interface.on("SIGINT", cancel);
      process.stdin.setRawMode(true);
      this.#interface.setPrompt(prompt);
      this.#interface.resume();
      this.#interface.prompt(true);
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#interface.off("SIGINT", cancel);
    }
    // The next line is asked for at once: a Ctrl-C until then must not become a signal.
    if (isCancelled && !this.#hasEnded) return { kind: "cancelled" };
    this.#rest();
    const text = this.#waiting.shift();
    if (text === undefined) return { kind: "end" };
    this.#wantsToLeave = false;
    return { kind: "line", text };
  }

  [Symbol.dispose](): void {
    this.#interface.close();
    Deno.removeSignalListener("SIGINT", this.#stray);
  }

  /** Ctrl-C is a signal again, as work that is under way expects. */
  #rest(): void {
    if (this.#hasEnded) return;
    this.#interface.pause();
    process.stdin.setRawMode(false);
  }
}
