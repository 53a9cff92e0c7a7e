/**
 * Log lines of a server: one event with fields a line, as JSON for machines or as text for people.
 * Nothing that a client sends can begin a line of its own or steer a terminal. Knows nothing of
 * where lines go.
 */

/** From the most to the least talkative. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = typeof LOG_LEVELS[number];

/** What is known of an event; undefined fields are left out. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface LogOptions {
  /** The least important level that is written; default "info". */
  readonly level?: LogLevel;
  /** Default "json". */
  readonly form?: "json" | "text";
  /** Takes a line without its end. */
  readonly write: (line: string) => void;
  /** Milliseconds since 1970; default the clock. */
  readonly now?: () => number;
}

/** Characters of a value that are written; the rest is cut off. */
const VALUE_CHARS_MAX = 8192;

export class Log {
  readonly #write: (line: string) => void;
  readonly #now: () => number;
  readonly #least: number;
  readonly #form: "json" | "text";

  constructor({ level = "info", form = "json", write, now = Date.now }: LogOptions) {
    this.#write = write;
    this.#now = now;
    this.#least = LOG_LEVELS.indexOf(level);
    this.#form = form;
  }

  debug(event: string, fields?: LogFields): void {
    this.#log("debug", event, fields);
  }

  info(event: string, fields?: LogFields): void {
    this.#log("info", event, fields);
  }

  warn(event: string, fields?: LogFields): void {
    this.#log("warn", event, fields);
  }

  /** error: its stack is written as a field. */
  error(event: string, error: unknown, fields?: LogFields): void {
    const stack = error instanceof Error ? error.stack ?? error.message : String(error);
    this.#log("error", event, { ...fields, error: stack });
  }

  #log(level: LogLevel, event: string, fields: LogFields = {}): void {
    if (LOG_LEVELS.indexOf(level) < this.#least) return;
    const time = new Date(this.#now()).toISOString();
    const given = Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]): [string, unknown] => [
        name,
        typeof value === "string" ? value.slice(0, VALUE_CHARS_MAX) : value,
      ]);
    if (this.#form === "json") {
      return this.#write(quoted(Object.fromEntries([
        ["time", time],
        ["level", level],
        ["event", event],
        ...given,
      ])));
    }
    const rest = given.map(([name, value]) => ` ${name}=${bare(value)}`).join("");
    this.#write(`${time} ${level.padEnd(5)} ${event}${rest}`);
  }
}

/** Plain words as they are, everything else in quotes. */
function bare(value: unknown): string {
  return typeof value === "string" && !/^[\w.:/+@-]+$/.test(value) ? quoted(value) : String(value);
}

/**
 * JSON in which also those characters are escaped that end a line, or begin a terminal's command,
 * for some programs though not for JSON: DEL, the C1 controls, and the Unicode line ends.
 */
function quoted(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
