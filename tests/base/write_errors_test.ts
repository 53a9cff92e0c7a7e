import { assertEquals, assertThrows } from "@std/assert";
import { checkWritable } from "../../src/base/write_errors.ts";

Deno.test("checkWritable() says where no file can come to lie, and leaves nothing behind", () => {
  const folder = Deno.makeTempDirSync();
  try {
    const names = () => [...Deno.readDirSync(folder)].map(({ name }) => name);
    Deno.writeTextFileSync(`${folder}/there`, "kept");
    for (const name of ["there", "new"]) checkWritable(`${folder}/${name}`);
    assertEquals(names(), ["there"]);
    assertEquals(Deno.readTextFileSync(`${folder}/there`), "kept");
    const reasons: [string, string][] = [
      [folder, "the path is a folder"],
      [`${folder}/none/x`, "there is no such folder"],
      [`${folder}/there/x`, "a part of the path is not a folder"],
      [`${folder}/${"x".repeat(300)}`, "the name is too long"],
    ];
    for (const [path, reason] of reasons) {
      assertThrows(() => checkWritable(path), Error, `Cannot write "${path}": ${reason}`);
    }
    // What is no file is written to as it is: beside it, as under this name, there may be no place.
    const device = `${folder}/${"x".repeat(255)}`;
    Deno.symlinkSync("/dev/null", device);
    checkWritable(device);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
