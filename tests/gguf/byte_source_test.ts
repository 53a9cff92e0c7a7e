import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { execFileSync } from "node:child_process";
import { ModelFormatError } from "../../src/base/errors.ts";
import { memorySource, openFileSource } from "../../src/gguf/byte_source.ts";

function withFolder(run: (folder: string) => void): void {
  const folder = Deno.makeTempDirSync();
  try {
    run(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** True for the superuser. */
function readsEverything(): boolean {
  const path = Deno.makeTempFileSync();
  try {
    Deno.chmodSync(path, 0);
    Deno.readFileSync(path);
    return true;
  } catch {
    return false;
  } finally {
    Deno.removeSync(path);
  }
}

Deno.test("openFileSource() refuses a path that does not exist", () => {
  const error = assertThrows(
    () => openFileSource("/no/such.gguf"),
    ModelFormatError,
    "there is no such file: check the path",
  );
  assertEquals(error.path, "/no/such.gguf");
});

// fault 24: the path is a directory, a pipe, a device, a circle of links, or may not be read.
Deno.test("openFileSource() refuses a directory", () => {
  withFolder((folder) => {
    assertThrows(() => openFileSource(folder), ModelFormatError, "the path is a directory");
  });
});

Deno.test({
  name: "openFileSource() refuses a pipe and does not wait for a writer",
  ignore: Deno.build.os === "windows",
  fn() {
    withFolder((folder) => {
      execFileSync("mkfifo", [`${folder}/pipe`]);
      assertThrows(() => openFileSource(`${folder}/pipe`), ModelFormatError, "the path is a pipe");
    });
  },
});

Deno.test({
  name: "openFileSource() refuses a device",
  ignore: Deno.build.os === "windows",
  fn() {
    assertThrows(() => openFileSource("/dev/zero"), ModelFormatError, "the path is a device");
  },
});

Deno.test({
  name: "openFileSource() refuses links that run in a circle",
  ignore: Deno.build.os === "windows",
  fn() {
    withFolder((folder) => {
      Deno.symlinkSync(`${folder}/b`, `${folder}/a`);
      Deno.symlinkSync(`${folder}/a`, `${folder}/b`);
      assertThrows(() => openFileSource(`${folder}/a`), ModelFormatError, "run in a circle");
    });
  },
});

Deno.test({
  name: "openFileSource() refuses what the program may not read, and says so",
  permissions: { read: false },
  fn() {
    const error = assertThrows(() => openFileSource("/etc/hostname"), ModelFormatError);
    assertMatch(
      error.message,
      /may not be read: change its permissions, or Deno's \(--allow-read\)/,
    );
  },
});

const hasNoLocks = readsEverything();

Deno.test({
  name: `openFileSource() refuses a file without permission to read it${
    hasNoLocks ? " [skipped: this user may read every file]" : ""
  }`,
  ignore: Deno.build.os === "windows" || hasNoLocks,
  fn() {
    withFolder((folder) => {
      Deno.writeFileSync(`${folder}/f`, new Uint8Array(1), { mode: 0 });
      assertThrows(() => openFileSource(`${folder}/f`), ModelFormatError, "may not be read");
    });
  },
});

Deno.test("openFileSource() fills a view of shared memory", () => {
  withFolder((folder) => {
    Deno.writeFileSync(`${folder}/f`, Uint8Array.from({ length: 100 }, (_, i) => i));
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const source = openFileSource(`${folder}/f`);
    source.read(90, new Uint8Array(memory.buffer, 8, 10));
    source.close();
    source.close();
    assertEquals([...new Uint8Array(memory.buffer, 7, 12)], [
      0,
      ...Array.from({ length: 10 }, (_, i) => 90 + i),
      0,
    ]);
  });
});

// fault 23: truncated while loaded.
Deno.test("a file source says where the file ended when it became shorter", () => {
  withFolder((folder) => {
    Deno.writeFileSync(`${folder}/f`, new Uint8Array(100));
    const source = openFileSource(`${folder}/f`);
    Deno.truncateSync(`${folder}/f`, 60);
    const error = assertThrows(
      () => source.read(50, new Uint8Array(50)),
      ModelFormatError,
      "Cannot read 40 more bytes",
    );
    assertEquals(error.offsetBytes, 60);
    source.close();
  });
});

Deno.test("memorySource() refuses to read past its end", () => {
  const source = memorySource(new Uint8Array([1, 2, 3]));
  const into = new Uint8Array(2);
  source.read(1, into);
  assertEquals([...into], [2, 3]);
  const error = assertThrows(() => source.read(2, into), ModelFormatError, "1 more bytes");
  assertEquals(error.offsetBytes, 3);
});
