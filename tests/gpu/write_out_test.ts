/** gpu/write_out.ts: loops of shaders' texts. */
import { assertEquals } from "@std/assert";
import { KERNEL_LIST } from "../../gpu/kernels.ts";
import { writeOut } from "../../gpu/write_out.ts";

Deno.test("writeOut() repeats lines for each number of a range", () => {
  const text = "head\n  //@ for k in 6..8\n  w{k} = {16k}u + {k+1} + {2k+3};\n  //@ end\n}\n";
  assertEquals(
    writeOut(text),
    "head\n  w6 = 96u + 7 + 15;\n  w7 = 112u + 8 + 17;\n  w8 = 128u + 9 + 19;\n}\n",
  );
});

Deno.test("writeOut() writes loops within loops, and takes words for several names", () => {
  const inner = "//@ for r w in 0 a.x, 1 b.y\ns{r} += {w}{k};\n//@ end\n";
  assertEquals(
    writeOut(`//@ for k in 1..2\n${inner}//@ end\nlast\n`),
    "s0 += a.x1;\ns1 += b.y1;\ns0 += a.x2;\ns1 += b.y2;\nlast\n",
  );
});

Deno.test("writeOut() leaves braces, comments, and a loop without its end", () => {
  const text = "// for k in 0..1\nif (a) { return; } {k}\n//@ for k in 0..1\n{k}";
  assertEquals(writeOut(text), text);
});

Deno.test("no shader has a loop left that was to be written out", () => {
  const texts = Object.values(KERNEL_LIST).map(({ text }) => text);
  assertEquals(texts.filter((text) => text.includes("//@")), []);
});
