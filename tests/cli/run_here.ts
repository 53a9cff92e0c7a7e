/**
 * The command line within a test's own isolate: what starting a process and having V8 meet the code
 * costs, 0.5 to 1 s of a core, is most of what such a test takes. Only its streams, the console and
 * its environment are given to it; command lines are run one after another. What it is to its
 * users, a process with an exit status, run_cli.ts starts for those tests that ask for it.
 */
import { runCli } from "../../src/cli/program.ts";

export interface Heard {
  readonly code: number;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
}

/** What there is of a command line: its words, what stands in its stdin, and its environment. */
export interface Given {
  readonly args: readonly string[];
  readonly stdin: string;
  readonly env: Readonly<Record<string, string>>;
  /** What gives an exit status; left out: the command line as it is. */
  readonly run?: (args: readonly string[]) => Promise<number>;
}

const encoder = new TextEncoder();

let before: Promise<unknown> = Promise.resolve();

/** Runs it, when those before it have ended. */
export function runHere(given: Given): Promise<Heard> {
  const now = before.then(() => runNow(given));
  before = now.catch(() => {});
  return now;
}

async function runNow({ args, stdin, env, run = runCli }: Given): Promise<Heard> {
  const out = new Kept();
  const err = new Kept();
  const undo = [
    ...Object.entries(env).map(([name, value]) => setEnv(name, value)),
    replace(Deno.stdout, { writeSync: out.writeSync, isTerminal: () => false }),
    replace(Deno.stderr, {
      writeSync: err.writeSync,
      write: (bytes: Uint8Array) => Promise.resolve(err.writeSync(bytes)),
      isTerminal: () => false,
    }),
    replace(Deno.stdin, streamOf(stdin)),
    sayInto(["debug", "info", "log"], out),
    sayInto(["error", "warn"], err),
  ];
  try {
    const code = await run(args);
    return { code, stdout: out.bytes(), stderr: err.bytes() };
  } finally {
    for (const undone of undo) undone();
  }
}

/** What is written to a stream. */
class Kept {
  readonly #pieces: Uint8Array<ArrayBuffer>[] = [];
  readonly writeSync = (bytes: Uint8Array): number => {
    this.#pieces.push(bytes.slice());
    return bytes.length;
  };

  bytes(): Uint8Array {
    const all = new Uint8Array(this.#pieces.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const piece of this.#pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    return all;
  }
}

/** A text as `Deno.stdin` has it, piped. */
function streamOf(text: string) {
  let rest = encoder.encode(text);
  const readable = new Blob([rest]).stream();
  const readSync = (into: Uint8Array): number | null => {
    if (rest.length === 0) return null;
    const count = Math.min(rest.length, into.length);
    into.set(rest.subarray(0, count));
    rest = rest.subarray(count);
    return count;
  };
  return { readSync, readable, isTerminal: () => false };
}

/** Puts properties of its own before those that an object's class has; returns what undoes it. */
function replace(object: object, properties: Readonly<Record<string, unknown>>): () => void {
  for (const [name, value] of Object.entries(properties)) {
    Object.defineProperty(object, name, { value, configurable: true });
  }
  return () => Object.keys(properties).forEach((name) => Reflect.deleteProperty(object, name));
}

/** What the console is told of goes where it does in a process. */
function sayInto(names: readonly ("debug" | "error" | "info" | "log" | "warn")[], to: Kept) {
  const had = names.map((name) => [name, console[name]] as const);
  const say = (...of: unknown[]) => to.writeSync(encoder.encode(`${of.map(String).join(" ")}\n`));
  for (const name of names) console[name] = say;
  return () => {
    for (const [name, own] of had) console[name] = own;
  };
}

function setEnv(name: string, value: string): () => void {
  const had = Deno.env.get(name);
  Deno.env.set(name, value);
  return () => had === undefined ? Deno.env.delete(name) : Deno.env.set(name, had);
}
