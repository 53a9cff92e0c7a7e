/** Input files to jobs, whatever is in them. */
import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import fc from "fast-check";
import { checkInput, LINES_MAX, readJobs } from "../../src/batch/input_lines.ts";
import { fuzzRuns } from "../support/fuzz.ts";

const endpoint = "/v1/completions";
const OPTIONS = { endpoint, lineBytesMax: 1000 };
const GOOD = { custom_id: "a", method: "POST", url: endpoint, body: { prompt: "x" } };

Deno.test("readJobs() finds the same jobs however the file is cut", async () => {
  const lines = ["ä", "🙂", "c"].map((id) => JSON.stringify({ ...GOOD, custom_id: id }));
  const bytes = encode(`\ufeff${lines[0]}\r\n\n  \n${lines[1]}\n${lines[2]}`);
  for (const size of [1, 2, 3, 7, bytes.length]) {
    const jobs = await Array.fromAsync(readJobs(cut(bytes, size), OPTIONS));
    assertEquals(jobs.map(({ index, customId }) => [index, customId]), [
      ...[[0, "ä"], [1, "🙂"], [2, "c"]],
    ]);
    assertEquals(jobs[0].body, `{"prompt":"x"}`);
    assertEquals(jobs[0].endpoint, endpoint);
  }
});

const FAULTS: readonly [code: string, line: unknown][] = [
  ["invalid_json_line", "{"],
  ["invalid_json_line", "null"],
  ["invalid_json_line", "[]"],
  ["invalid_json_line", "\u0000"],
  ["invalid_json_line", new Uint8Array([0xc3, 0x28])],
  ["invalid_json_line", new Uint8Array([0x22, 0xe2, 0x82])],
  ["invalid_custom_id", { ...GOOD, custom_id: undefined }],
  ["invalid_custom_id", { ...GOOD, custom_id: 7 }],
  ["invalid_custom_id", { ...GOOD, custom_id: "" }],
  ["invalid_custom_id", { ...GOOD, custom_id: "x".repeat(513) }],
  ["duplicate_custom_id", { ...GOOD, custom_id: "first" }],
  ["invalid_method", { ...GOOD, method: "GET" }],
  ["mismatched_url", { ...GOOD, url: "/v1/embeddings" }],
  ["mismatched_url", { ...GOOD, url: "http://169.254.169.254/" }],
  ["mismatched_url", { ...GOOD, url: "/v1/completions/../files" }],
  ["invalid_body", { ...GOOD, body: "text" }],
  ["invalid_body", { ...GOOD, body: null }],
  ["invalid_body", `{"custom_id":"a","method":"POST","url":"${endpoint}","body":{"a":1e999}}`],
  ["invalid_body", JSON.stringify(GOOD).replace('"x"', "[".repeat(99) + "]".repeat(99))],
  ["stream_not_supported", { ...GOOD, body: { stream: true } }],
  ["stream_not_supported", { ...GOOD, body: { stream: "yes" } }],
  ["line_too_long", { ...GOOD, body: { prompt: "x".repeat(1000) } }],
];

Deno.test("checkInput() says of each fault in which line it is, and of what kind", async () => {
  for (const [code, fault] of FAULTS) {
    const before = JSON.stringify({ ...GOOD, custom_id: "first" });
    const after = JSON.stringify({ ...GOOD, custom_id: "last" });
    const line = fault instanceof Uint8Array
      ? fault
      : encode(typeof fault === "string" ? fault : JSON.stringify(fault));
    const file = join([encode(before), line, encode(after)]);
    for (const size of [1, 5, file.length]) {
      const { total, errors } = await checkInput(cut(file, size), OPTIONS);
      assertEquals(
        errors.map((error) => [error.code, error.line]),
        [[code, 2]],
        errors[0]?.message,
      );
      assertEquals(total, 2);
    }
  }
});

Deno.test("checkInput() refuses files without requests, and with too many", async () => {
  const codes = async (file: AsyncIterable<Uint8Array>) =>
    (await checkInput(file, OPTIONS)).errors.map(({ code }) => code);
  assertEquals(await codes(cut(encode("\n \r\n"), 1)), ["empty_file"]);
  let made = 0;
  async function* endless() {
    for (;; made++) yield await encode(JSON.stringify({ ...GOOD, custom_id: `${made}` }) + "\n");
  }
  assertEquals(await codes(endless()), ["too_many_requests"]);
  assertEquals(made, LINES_MAX);
});

Deno.test("checkInput() lets others have the event loop, however many lines there are", async () => {
  const lines = Array.from({ length: 20_000 }, (_, n) => ({ ...GOOD, custom_id: `${n}` }));
  for (
    const [file, minTicks] of [
      [lines.map((line) => JSON.stringify(line)).join("\n"), 10],
      [" \n".repeat(90_000), 10],
    ] as const
  ) {
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 1);
    // In one piece: nothing else gives way.
    await checkInput(cut(encode(file), file.length), OPTIONS);
    clearInterval(ticking);
    assertGreater(ticks, minTicks);
  }
});

Deno.test("checkInput() takes no more than so many lines, though they be blank", async () => {
  let made = 0;
  async function* endless() {
    for (;; made++) yield await encode("\n".repeat(1000));
  }
  const { errors } = await checkInput(endless(), OPTIONS);
  assertEquals(errors.map(({ code, line }) => [code, line]), [["too_many_lines", 100_001]]);
  assertEquals(made, 100);
});

Deno.test("checkInput() parses no line that would take a second", async () => {
  const line = (body: string) =>
    encode(JSON.stringify({ ...GOOD, body: {} }).replace("{}", `{"a":${body}}`));
  const codes = async (body: string) => {
    const options = { endpoint, lineBytesMax: 2 ** 23 };
    const startMs = performance.now();
    const { errors } = await checkInput(cut(line(body), 2 ** 18), options);
    assertLess(performance.now() - startMs, 2000);
    return errors.map(({ code }) => code);
  };
  assertEquals(await codes(`[${"0,".repeat(900_000)}0]`), []);
  assertEquals(await codes(`[${"0,".repeat(2_000_000)}0]`), ["invalid_body"]);
  assertEquals(await codes(`[${"[],".repeat(2_000_000)}0]`), ["invalid_body"]);
  assertEquals(await codes(`{${'"":0,'.repeat(200_000)}"":0}`), ["invalid_body"]);
  assertEquals(await codes(JSON.stringify('[{":,\\"'.repeat(400_000))), []);
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  assertEquals([await codes(nested(63)), await codes(nested(65))], [[], ["invalid_body"]]);
});

Deno.test("checkInput() stops at a hundred errors", async () => {
  const { errors } = await checkInput(cut(encode("x\n".repeat(1000)), 100), OPTIONS);
  assertEquals(errors.map(({ line }) => line), Array.from({ length: 100 }, (_, i) => i + 1));
});

Deno.test("checkInput() keeps nothing of a line that does not end", async () => {
  const piece = new Uint8Array(2 ** 16).fill(65);
  async function* megabytes() {
    for (let n = 0; n < 4096; n++) yield await piece;
  }
  const before = Deno.memoryUsage();
  const { errors } = await checkInput(megabytes(), OPTIONS);
  const after = Deno.memoryUsage();
  assertEquals(errors.map(({ code, line }) => [code, line]), [["line_too_long", 1]]);
  assert(after.external - before.external < 64 * 2 ** 20, "256 MiB were kept");
});

Deno.test("checkInput() and readJobs() agree on any bytes", async () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc.constantFrom("\n", "\r\n", "{", '"', JSON.stringify(GOOD)).map(encode),
    fc.string().map((id) => encode(JSON.stringify({ ...GOOD, custom_id: id }) + "\n")),
  );
  const pieces = fc.array(piece, { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(pieces, fc.integer({ min: 1, max: 64 }), async (parts, size) => {
      const file = new Uint8Array(parts.flatMap((part) => [...part]));
      const { total, errors } = await checkInput(cut(file, size), OPTIONS);
      const jobs = await Array.fromAsync(readJobs(cut(file, file.length || 1), OPTIONS));
      const doubles = errors.filter(({ code }) => code === "duplicate_custom_id").length;
      assertEquals(jobs.length, total + doubles);
      assertEquals(jobs.map(({ index }) => index), jobs.map((_, index) => index));
      assertEquals(errors.every(({ code, line }) => line !== null || code === "empty_file"), true);
    }),
    fuzzRuns(300),
  );
});

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** In pieces, all in the same bytes, as files are read. */
async function* cut(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(size);
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve();
    const piece = bytes.subarray(at, at + size);
    buffer.set(piece);
    yield buffer.subarray(0, piece.length);
  }
}

function join(lines: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(lines.flatMap((line) => [...line, 10]));
}
