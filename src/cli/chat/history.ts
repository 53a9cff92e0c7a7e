/**
 * What was typed into chats before: a line of JSON each, so that a message of several lines is one.
 * Whoever cannot write it chats without.
 */
import { dirname, join } from "node:path";
import { getEnv } from "../settings.ts";

const LINES_MAX = 1000;
/** More is no history of ours. */
const BYTES_MAX = 8 << 20;

export class History {
  readonly #path: string | null;

  constructor(path: string | null) {
    this.#path = path;
  }

  /** What was typed, the newest first. */
  read(): string[] {
    if (this.#path === null) return [];
    try {
      if (Deno.statSync(this.#path).size > BYTES_MAX) return [];
      const lines = Deno.readTextFileSync(this.#path).split("\n").filter((line) => line !== "");
      if (lines.length > 2 * LINES_MAX) this.#shorten(lines);
      return lines.slice(-LINES_MAX).flatMap(parseLine).reverse();
    } catch {
      return [];
    }
  }

  /** Keeps a line, unless it begins with a space. */
  add(text: string): void {
    if (this.#path === null || text.trim() === "" || text.startsWith(" ")) return;
    try {
      Deno.mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
      const line = `${JSON.stringify(text)}\n`;
      Deno.writeTextFileSync(this.#path, line, { append: true, mode: 0o600 });
    } catch {
      // Not worth a word.
    }
  }

  #shorten(lines: readonly string[]): void {
    const path = this.#path as string;
    const text = lines.slice(-LINES_MAX).map((line) => `${line}\n`).join("");
    Deno.writeTextFileSync(`${path}.new`, text, { mode: 0o600 });
    Deno.renameSync(`${path}.new`, path);
  }
}

function parseLine(line: string): string[] {
  try {
    const text: unknown = JSON.parse(line);
    // What was several lines is shown as one: editors of lines know no others.
    return typeof text === "string" ? [text.replace(/\s*\n\s*/g, " ")] : [];
  } catch {
    return [];
  }
}

/** $XDG_STATE_HOME/ganglion/history; null: there is no home. */
export function historyPath(): string | null {
  const home = getEnv("HOME") ?? getEnv("USERPROFILE");
  const state = getEnv("XDG_STATE_HOME") ?? (home ? join(home, ".local", "state") : null);
  return state ? join(state, "ganglion", "history") : null;
}
