import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import { encodeGguf, openGguf, parseGguf, TensorReader } from "../../src/gguf/mod.ts";

const DATA = Uint8Array.from({ length: 64 }, (_, i) => i + 1);
const BYTES = encodeGguf({
  metadata: [],
  tensors: [
    { name: "before", type: "F32", dims: [2], pieces: () => [new Uint8Array(8)] },
    { name: "t", type: "F32", dims: [4, 4], pieces: () => [DATA] },
  ],
});

function withFile(run: (path: string) => void): void {
  const path = Deno.makeTempFileSync({ suffix: ".gguf" });
  try {
    Deno.writeFileSync(path, BYTES);
    run(path);
  } finally {
    Deno.removeSync(path);
  }
}

Deno.test("TensorReader reads any range of a tensor into shared memory", () => {
  withFile((path) => {
    const file = openGguf(path);
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    using reader = TensorReader.open(file);
    reader.read(file.tensors.get("t")!, 10, new Uint8Array(memory.buffer, 100, 54));
    assertEquals([...new Uint8Array(memory.buffer, 99, 56)], [0, ...DATA.slice(10), 0]);
    assertEquals(reader.readAll(file.tensors.get("t")!), DATA);
  });
});

Deno.test("TensorReader.ofBytes() reads from memory", () => {
  const file = parseGguf(BYTES);
  assertEquals(TensorReader.ofBytes(BYTES).readAll(file.tensors.get("t")!), DATA);
});

Deno.test("TensorReader opens what a worker was posted", () => {
  withFile((path) => {
    const { parts, tensors } = openGguf(path);
    const posted = structuredClone({ parts, tensors });
    using reader = TensorReader.open(posted);
    assertEquals(reader.readAll(posted.tensors.get("t")!), DATA);
  });
});

Deno.test("TensorReader refuses ranges outside the tensor as a bug", () => {
  const reader = TensorReader.ofBytes(BYTES);
  const tensor = parseGguf(BYTES).tensors.get("t")!;
  for (const [offset, length] of [[-1, 1], [64, 1], [0, 65], [0.5, 1], [NaN, 1]]) {
    const error = assertThrows(
      () => reader.read(tensor, offset, new Uint8Array(length)),
      Error,
      'of "t" (64)',
    );
    assertEquals(error.name, "Error");
  }
  const elsewhere = { ...tensor, part: 1 };
  assertThrows(() => reader.read(elsewhere, 0, new Uint8Array(1)), Error, "part 1");
});

// fault 23: truncated, replaced or deleted before its tensors are read.
Deno.test("TensorReader refuses a file that became shorter while it was open", () => {
  withFile((path) => {
    const file = openGguf(path);
    using reader = TensorReader.open(file);
    const tensor = file.tensors.get("t")!;
    Deno.truncateSync(path, tensor.offsetBytes + 63);
    assertThrows(() => reader.readAll(tensor), ModelFormatError, "Cannot read 1 more bytes");
  });
});

Deno.test("TensorReader.open() refuses a file of another length than its header was read from", () => {
  withFile((path) => {
    const file = openGguf(path);
    Deno.writeFileSync(path, new Uint8Array(10), { append: true });
    const state = `had ${BYTES.length} bytes when it was opened and has ${BYTES.length + 10} now`;
    assertThrows(() => TensorReader.open(file), ModelFormatError, state);
  });
});

Deno.test("TensorReader.open() refuses a file that is gone", () => {
  withFile((path) => {
    const file = openGguf(path);
    const missing = { parts: [...file.parts, { path: `${path}.gone`, sizeBytes: 1 }] };
    assertThrows(() => TensorReader.open(missing), ModelFormatError, "there is no such file");
  });
});
