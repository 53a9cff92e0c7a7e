import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../src/base/errors.ts";
import { encodeGguf, text } from "../../src/gguf/mod.ts";
import { FileCatalog, modelName } from "../../src/models/mod.ts";
import { tinyAdapter } from "../support/tiny_adapter.ts";
import { tinyModel } from "../support/tiny_model.ts";

Deno.test("modelName() is a file's name without its end", () => {
  assertEquals(modelName("/x/tiny.Q4_0.gguf"), "tiny.Q4_0");
  assertEquals(modelName("C:\\m\\a.GANGLION"), "a");
  assertEquals(modelName("big-00001-of-00003.gguf"), "big");
});

Deno.test("FileCatalog refuses two files of one name", () => {
  const files = [{ id: "a", path: "x/a.gguf" }, { id: "a", path: "y/a.gguf" }];
  assertThrows(() => new FileCatalog({ files }), UsageError, `two models named "a"`);
});

Deno.test("FileCatalog offers what was named first, then what is in the folder", () => {
  const folder = Deno.makeTempDirSync();
  try {
    const names = [
      ...["b.gguf", "a.ganglion", "a.gguf", "named.gguf", ".hidden.gguf", "notes.txt"],
      ...["s-00001-of-00002.gguf", "s-00002-of-00002.gguf"],
    ];
    for (const name of names) Deno.writeTextFileSync(`${folder}/${name}`, "");
    Deno.mkdirSync(`${folder}/folder.gguf`);
    const catalog = new FileCatalog({ files: [{ id: "named", path: "/n/named.gguf" }], folder });
    assertEquals(catalog.ids(), ["named", "a", "b", "s"]);
    assertEquals(catalog.pathOf("named"), "/n/named.gguf");
    assertEquals(catalog.pathOf("a"), `${folder}/a.ganglion`);
    assertEquals(catalog.pathOf("../etc/passwd"), undefined);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("FileCatalog sees files that came later, and lives without its folder", () => {
  const folder = Deno.makeTempDirSync();
  const catalog = new FileCatalog({ files: [], folder, refreshMs: 0 });
  assertEquals(catalog.ids(), []);
  Deno.writeTextFileSync(`${folder}/late.gguf`, "");
  assertEquals(catalog.ids(), ["late"]);
  Deno.removeSync(folder, { recursive: true });
  assertEquals(catalog.ids(), []);
});

Deno.test("FileCatalog.fileOf() has the size of all parts of a model, without opening one", () => {
  const folder = Deno.makeTempDirSync();
  try {
    const name = (part: number) => `${folder}/s-0000${part}-of-00002.gguf`;
    Deno.writeTextFileSync(name(1), "12345");
    Deno.writeTextFileSync(`${folder}/one.gguf`, "123");
    Deno.utimeSync(`${folder}/one.gguf`, 1, 2);
    const catalog = new FileCatalog({ files: [], folder });
    assertEquals(catalog.fileOf("one"), { sizeBytes: 3, modifiedMs: 2000 });
    assertEquals([catalog.fileOf("s"), catalog.fileOf("none")], [undefined, undefined]);
    Deno.writeTextFileSync(name(2), "67");
    assertEquals(catalog.fileOf("s")?.sizeBytes, 7);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("FileCatalog offers no adapters, projectors and drafts of a folder, but to who wants them", () => {
  const folder = Deno.makeTempDirSync();
  const write = (name: string, bytes: Uint8Array) => Deno.writeFileSync(`${folder}/${name}`, bytes);
  try {
    const model = tinyModel();
    const adapter = tinyAdapter(model);
    write("model.gguf", model);
    write("adapter.gguf", adapter);
    const eyes = [["general.architecture", text("clip")]] as const;
    write("eyes.gguf", encodeGguf({ metadata: eyes, tensors: [] }));
    const guesses = [["general.architecture", text("eagle3")]] as const;
    write("guesses.gguf", encodeGguf({ metadata: guesses, tensors: [] }));
    Deno.symlinkSync("/nowhere", `${folder}/link.gguf`);
    Deno.symlinkSync("/dev/null", `${folder}/null.gguf`);
    const named = [{ id: "mine", path: `${folder}/adapter.gguf` }];
    const catalog = new FileCatalog({ files: named, folder, refreshMs: 0 });
    assertEquals(catalog.ids(), ["mine", "link", "model", "null"]);
    const all = new FileCatalog({ files: [], folder, refreshMs: 0, hasAllKinds: true });
    assertEquals(all.ids().map((id) => [id, all.kindOf(id)]), [
      ...[["adapter", "adapter"], ["eyes", "projector"], ["guesses", "draft"]],
      ...["link", "model", "null"].map((id) => [id, "model"]),
    ]);
    // What was half a file may have become another one.
    write("adapter.gguf", model);
    write("model.gguf", adapter);
    assertEquals(catalog.ids(), ["mine", "adapter", "link", "null"]);
    assertEquals(all.kindOf("none"), undefined);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("FileCatalog says in whose engine a model is", () => {
  const files = [{ id: "base", path: "a" }, { id: "poet", path: "a", base: "base" }];
  const catalog = new FileCatalog({ files });
  assertEquals(["base", "poet", "none"].map((id) => catalog.baseOf(id)), [
    ...[undefined, "base", undefined],
  ]);
});

// fault 24: a pipe.
Deno.test("FileCatalog opens no pipe to see what it is: it might wait for ever", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    Deno.writeFileSync(`${folder}/adapter`, tinyAdapter(tinyModel()));
    // Whoever opened it after all would read an adapter, and the test would not hang.
    const script = "mkfifo pipe.gguf; exec 3<>pipe.gguf; cat adapter >&3; echo ready; read -r _";
    const how = { cwd: folder, stdin: "piped", stdout: "piped" } as const;
    const holder = new Deno.Command("sh", { args: ["-c", script], ...how }).spawn();
    await holder.stdout.getReader().read();
    const catalog = new FileCatalog({ files: [], folder, refreshMs: 0 });
    assertEquals(catalog.ids(), ["pipe"]);
    await holder.stdin.close();
    await holder.status;
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
