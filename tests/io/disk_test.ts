import { assert, assertEquals, assertThrows } from "@std/assert";
import { openDisk } from "../../src/io/disk.ts";
import { byteAt } from "../support/fake_disk.ts";

const SIZE_BYTES = 3 * 4096 + 1234;

/** Runs `use` with a file of known bytes. */
function withFile(use: (path: string, folder: string) => void): void {
  const folder = Deno.makeTempDirSync({ prefix: "ganglion-disk-" });
  try {
    const path = `${folder}/model.ganglion`;
    Deno.writeFileSync(path, Uint8Array.from({ length: SIZE_BYTES }, (_, i) => byteAt(i)));
    use(path, folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

for (const direct of [true, false]) {
  const name = direct ? "past the file cache where it can" : "through the file cache";
  Deno.test(`openDisk() reads any part into shared memory, ${name}`, () => {
    withFile((path) => {
      const disk = openDisk(path, { direct });
      const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
      const view = new Uint8Array(memory.buffer);
      const cases = [
        [0, 512, 512],
        [4096, 4096, 4096],
        [512, 3584, 1024],
        [1, 100, 77],
        [700, 512, 512],
        [512, 513, 512],
        [512, 512, 513],
        [3 * 4096, 4096, 8192],
        [3 * 4096 + 1024, 512, 512],
        [SIZE_BYTES - 10, 10, 3],
        [4 * 4096, 512, 512],
      ];
      for (const [offsetBytes, sizeBytes, address] of cases) {
        view.fill(0);
        const came = disk.read(view, address, sizeBytes, offsetBytes);
        assertEquals(came, Math.max(0, Math.min(sizeBytes, SIZE_BYTES - offsetBytes)));
        for (let i = 0; i < came; i++) {
          assertEquals(view[address + i], byteAt(offsetBytes + i), `${offsetBytes} + ${i}`);
        }
        assert(view.subarray(address + sizeBytes).every((byte) => byte === 0), "and no further");
      }
      disk.close();
    });
  });
}

// fault 23: a packed file changed in place, or replaced.
Deno.test("openDisk(): what is changed in place is noticed, what is put in its place is not", () => {
  withFile((path, folder) => {
    const disk = openDisk(path);
    assert(disk.isUnchanged());
    Deno.writeTextFileSync(`${folder}/other`, "another file");
    Deno.renameSync(`${folder}/other`, path);
    assert(disk.isUnchanged(), "the open file is still the old one");
    disk.close();
    const other = openDisk(path);
    Deno.writeTextFileSync(path, "!", { append: true });
    assert(!other.isUnchanged(), "its size");
    other.close();
    const touched = openDisk(path);
    Deno.utimeSync(path, 1_700_000_000, 1_700_000_000);
    assert(!touched.isUnchanged(), "its time");
    touched.close();
  });
});

Deno.test("openDisk() refuses a file that is not the one whose stamp it is given", () => {
  withFile((path) => {
    const { size, mtime, ino } = Deno.statSync(path);
    const stamp = { sizeBytes: size, modifiedMs: mtime!.getTime(), inode: ino };
    openDisk(path, { stamp }).close();
    openDisk(path, { stamp: { ...stamp, inode: null } }).close();
    for (const change of [{ sizeBytes: 1 }, { modifiedMs: 1 }, { inode: 1 }]) {
      const wrong = { ...stamp, ...change };
      assertThrows(() => openDisk(path, { stamp: wrong }), Error, "changed since");
    }
    assertThrows(() => openDisk(`${path}.none`), Error, "there is no such file");
  });
});
