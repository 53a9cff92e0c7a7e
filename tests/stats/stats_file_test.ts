import { assert, assertEquals, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { concatBytes } from "../../src/base/bytes.ts";
import { decodeStats, encodeStats, readStats, writeStats } from "../../src/stats/stats_file.ts";
import { someStats } from "./stats_fixture.ts";

Deno.test("decodeStats() gives back what encodeStats() was given, small counts and large ones", () => {
  for (const most of [65_535, 65_536, 4e9]) {
    for (const sparsity of [0.5, null]) {
      const stats = someStats({ sparsity }, most);
      stats.counts["2"][3] = most;
      stats.measured = [{ sparsity: 0.5, pplDense: 3.5, pplSparse: 4, tokens: 100 }];
      const bytes = encodeStats(stats);
      assertEquals(decodeStats(bytes, "x"), stats);
      assertEquals(encodeStats(decodeStats(bytes, "x")), bytes);
    }
  }
});

Deno.test("encodeStats() takes two bytes a count where these are enough", () => {
  const [small, large] = [65_535, 65_536].map((most) => {
    const stats = someStats({ neuronCount: 1000, sparsity: null }, most);
    stats.counts.prefill[0] = most;
    return encodeStats(stats).length;
  });
  assert(small < 21_500 && large > 40_000, `${small}, ${large}`);
});

// fault 26: statistics half-written or changed.
Deno.test("decodeStats() notices every changed byte and every missing one, and says where", () => {
  const file = encodeStats(someStats());
  for (let i = 0; i < file.length; i += i < 900 ? 1 : 97) {
    const changed = file.slice();
    changed[i] ^= 1;
    const { message } = assertThrows(() => decodeStats(changed, "my.stats"), Error);
    assert(message.startsWith('Cannot read statistics "my.stats": '), message);
  }
  for (const length of [0, 1, 16, 17, 100, 700, file.length - 1]) {
    assertThrows(() => decodeStats(file.subarray(0, length), "x"), Error, "Cannot read statistics");
  }
  const longer = new Uint8Array(file.length + 1);
  longer.set(file);
  assertThrows(() => decodeStats(longer, "x"), Error, "bytes of counts");
});

Deno.test("decodeStats() refuses hostile headers without allocating what they claim", () => {
  const wrong: [from: string, to: string, says: string][] = [
    ["GANGLION-STATS 1", "GANGLION-STATS 2", "it is of version 2, this program reads 1"],
    ["GANGLION-STATS", "GGUF-STATS", "it is no file of firing statistics"],
    ['"neuronCount":5', '"neuronCount":90000000', "instead of"],
    ['"neuronCount":5', '"neuronCount":-5', "subject.neuronCount"],
    ['"neuronCount":5', '"neuronCount":1e30', "subject.neuronCount"],
    ['"layerCount":2', '"layerCount":2.5', "subject.layerCount"],
    ['"activation":"silu"', '"activation":"__proto__"', "subject.activation"],
    ['"groupsDone":3', '"groupsDone":10', "contradicts itself"],
    ['"thresholds":[0.1,', '"thresholds":[', "contradicts itself"],
    ['"thresholds":[0.1,', '"thresholds":[-1,', "thresholds.0"],
    ['"thresholds":[0.1,', '"thresholds":[null,', "thresholds.0"],
    ['"countBytes":2', '"countBytes":3', "countBytes"],
    ['"measured":[]', '"measured":[{}]', "measured.0"],
    ['{"subject"', '{"more":1,"subject"', "header"],
    ['{"subject"', '["subject"', "no JSON"],
  ];
  const file = encodeStats(someStats());
  const headerEnd = file.indexOf(10, file.indexOf(10) + 1);
  const header = new TextDecoder().decode(file.subarray(0, headerEnd));
  for (const [from, to, says] of wrong) {
    assert(header.includes(from), from);
    const [first, second] = header.replace(from, to).split("\n");
    const rest = concatBytes([new TextEncoder().encode(second), file.subarray(headerEnd)]);
    // Whoever means harm gets the sum right.
    const sum = createHash("sha256").update(rest).digest("hex");
    const begin = first.replace(/[0-9a-f]{64}/, sum);
    const changed = concatBytes([new TextEncoder().encode(`${begin}\n`), rest]);
    assertThrows(() => decodeStats(changed, "x"), Error, says);
  }
  assertThrows(
    () => decodeStats(new TextEncoder().encode("GANGLION-STATS 1\n" + "[".repeat(2e6)), "x"),
    Error,
    "no JSON",
  );
});

// fault 37: two processes write the same file.
Deno.test("writeStats() leaves alone what another process is writing", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const others = [`${folder}/a.stats.new`, `${folder}/a.stats.1.new`];
    for (const path of others) await Deno.writeTextFile(path, "half");
    writeStats(`${folder}/a.stats`, someStats());
    for (const path of others) assertEquals(await Deno.readTextFile(path), "half");
    assertEquals(readStats(`${folder}/a.stats`), someStats());
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

// fault 26: statistics that cannot be.
Deno.test("decodeStats() refuses neurons that fire more often than there were tokens", () => {
  const stats = someStats({}, 100);
  stats.units["2"] = 99;
  stats.counts["2"][4] = 100;
  assertThrows(() => decodeStats(encodeStats(stats), "x"), Error, "more often than");
  const loud = someStats({}, 100);
  loud.loudness![3] = NaN;
  assertThrows(() => decodeStats(encodeStats(loud), "x"), Error, "no count");
});

Deno.test("writeStats() leaves nothing behind where it is refused", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/a.stats`);
    assertThrows(() => writeStats(`${folder}/a.stats`, someStats()), Error, "Cannot write");
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["a.stats"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("writeStats() replaces a file, which readStats() reads", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/a.stats`;
    writeStats(path, someStats({}, 10));
    writeStats(path, someStats());
    assertEquals(readStats(path), someStats());
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["a.stats"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
