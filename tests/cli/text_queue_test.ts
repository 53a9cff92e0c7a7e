import { assertEquals } from "@std/assert";
import { writeErrorLine, writeErrorsLater } from "../../src/cli/output.ts";
import { TextQueue } from "../../src/cli/text_queue.ts";

/** A stream that takes nothing until it is told to, and then some of it at a time. */
class HeldStream {
  text = "";
  #held = Promise.withResolvers<void>();
  #isFailing = false;

  constructor(readonly bytesAtOnce = Infinity) {}

  readonly write = async (bytes: Uint8Array): Promise<number> => {
    await this.#held.promise;
    if (this.#isFailing) throw new Deno.errors.BrokenPipe("nobody reads");
    const taken = bytes.subarray(0, this.bytesAtOnce);
    this.text += new TextDecoder().decode(taken);
    return taken.length;
  };

  release({ isFailing = false } = {}): void {
    this.#isFailing = isFailing;
    this.#held.resolve();
  }

  hold(): void {
    this.#held = Promise.withResolvers<void>();
  }
}

Deno.test("texts are written in their order, those that wait together, however little is taken", async () => {
  const stream = new HeldStream(3);
  const queue = new TextQueue({ write: stream.write, unitsMax: 100 });
  for (const text of ["one\n", "two\n", "three\n"]) queue.push(text);
  assertEquals([await queue.flush(0), stream.text], [false, ""]);
  stream.release();
  assertEquals([await queue.flush(10_000), stream.text], [true, "one\ntwo\nthree\n"]);
  queue.push("four\n");
  assertEquals([await queue.flush(10_000), stream.text], [true, "one\ntwo\nthree\nfour\n"]);
});

Deno.test("what is too much to keep is lost in one piece and told of where it stood", async () => {
  const stream = new HeldStream();
  const queue = new TextQueue({
    write: stream.write,
    unitsMax: 9,
    onLost: (count) => queue.push(`lost ${count}\n`),
  });
  // The first is being written; two are kept; the small one would have room behind a gap.
  for (const text of ["one\n", "two\n", "six\n", "seven\n", "x"]) queue.push(text);
  stream.release();
  assertEquals(await queue.flush(10_000), true);
  assertEquals(stream.text, "one\ntwo\nsix\nlost 2\n");
  stream.text = "";
  stream.hold();
  for (const text of ["a\n", "b\n"]) queue.push(text);
  stream.release();
  await queue.flush(10_000);
  assertEquals(stream.text, "a\nb\n");
});

Deno.test("a reader who has gone loses what was being written, and later texts are tried", async () => {
  const stream = new HeldStream();
  const queue = new TextQueue({ write: stream.write, unitsMax: 100 });
  queue.push("lost\n");
  stream.release({ isFailing: true });
  assertEquals(await queue.flush(10_000), true);
  stream.release();
  queue.push("heard\n");
  await queue.flush(10_000);
  assertEquals(stream.text, "heard\n");
});

Deno.test("errors behind a server's end are written at once again: the process ends with them", async () => {
  const ways: string[] = [];
  const say = (way: string) => (bytes: Uint8Array) => {
    ways.push(way);
    return bytes.length;
  };
  Object.assign(Deno.stderr, {
    write: (bytes: Uint8Array) => Promise.resolve(say("later")(bytes)),
    writeSync: say("at once"),
  });
  try {
    {
      await using _later = writeErrorsLater(() => {});
      writeErrorLine("while it runs");
    }
    writeErrorLine("error: why it ended");
  } finally {
    // What was there before is the class's.
    for (const name of ["write", "writeSync"]) Reflect.deleteProperty(Deno.stderr, name);
  }
  assertEquals(ways, ["later", "at once"]);
});
