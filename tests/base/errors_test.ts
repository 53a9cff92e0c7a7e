/** What messages show. */
import { assertEquals } from "@std/assert";
import { withoutFolders } from "../../src/base/errors.ts";

Deno.test("withoutFolders() leaves names of files, however they are quoted, and all else", () => {
  const url = "https://huggingface.co/u/r";
  for (
    const [message, shown] of [
      [`it has no "q8_0": name one of a.gguf; see ${url}, or "q4"`, null],
      [`Cannot load "tiny": tensor "blk.0.q" has a type/shape that "blk.0.k" lacks`, null],
      [`there is another "a b", which is from ${url}: name it, or remove it: "rm"`, null],
      [`Cannot pull "hf.co/user/repo": the server doesn't answer "/" as it's told`, null],
      [
        `Cannot open "/home/bob/m.gguf": ENOENT: no such file, open '/home/bob/m.gguf'`,
        `Cannot open "m.gguf": ENOENT: no such file, open 'm.gguf'`,
      ],
      ["Cannot read /home/bob/x.gguf: it ends too early", "Cannot read x.gguf: it ends too early"],
      [
        `it doesn't fit '/a b/it.gguf' (/srv/y.bin), "~/m/z" and "../z/$&"`,
        `it doesn't fit 'it.gguf' (y.bin), "z" and "$&"`,
      ],
      [
        String.raw`Cannot open "C:\Users\bob\m.gguf" or "\\nas\m.gguf" or "file:///home/m.gguf"`,
        `Cannot open "m.gguf" or "m.gguf" or "m.gguf"`,
      ],
    ]
  ) assertEquals(withoutFolders(message!), shown ?? message);
});
