import { assert, assertEquals } from "@std/assert";
import { readImageUrl } from "../../src/server/message_images.ts";

/** What is refused, or the bytes. */
function read(url: string): string | number[] {
  let refused = "";
  const bytes = readImageUrl(url, (message) => {
    refused = message;
    return null;
  });
  return bytes === null ? refused : Array.from(bytes);
}

Deno.test("readImageUrl() takes what a data URL has, whatever it says that it is", () => {
  for (const head of ["data:image/png;base64", "data:;base64", "data:image/x-y;q=1;base64"]) {
    assertEquals(read(`${head},AQID`), [1, 2, 3]);
  }
  const elsewhere = "expected the image itself, as data:image/png;base64,…";
  for (
    const url of ["https://localhost/a.png", "data:image/png,AQID", "data:base64,AQID", "data:"]
  ) {
    assertEquals(read(url).slice(0, elsewhere.length), elsewhere, url);
  }
  assertEquals(read("data:image/png;base64,"), "expected an image in base64");
  assertEquals(read("data:;base64,AQI*"), "expected an image in base64: this is none");
});

Deno.test("readImageUrl() refuses long addresses in no time", () => {
  // A pattern took 15 s for 80,000 letters, four times that for twice as many.
  const urls = ["data:" + "a".repeat(80_000), "data:a" + ";a".repeat(40_000)];
  const times = urls.flatMap((url) =>
    [1, 2, 3].map(() => {
      const startMs = performance.now();
      assert(typeof read(url) === "string");
      return performance.now() - startMs;
    })
  );
  assert(Math.min(...times.slice(0, 3)) < 100 && Math.min(...times.slice(3)) < 100);
});
