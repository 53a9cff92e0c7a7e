import { assertEquals } from "@std/assert";
import {
  IMAGE_CHARS_MAX,
  IMAGES_MAX,
  isImageUrl,
  sizeWithin,
} from "../../../src/page/state/image_urls.ts";

Deno.test("isImageUrl() knows what the page makes, and lets nothing else be shown", () => {
  const good = ["png", "jpeg", "webp", "gif"].map((type) => `data:image/${type};base64,AAAA`);
  const head = "data:image/png;base64,";
  const longest = head + "A".repeat(IMAGE_CHARS_MAX - head.length);
  for (const url of [...good, `${head}AA==`, longest]) assertEquals(isImageUrl(url), true);
  const bad = [
    ...[7, null, ["data:image/png;base64,AAAA"], "", head, `${head}<svg>`, `${head}AA AA`],
    ...["data:image/svg+xml;base64,AAAA", "data:text/html;base64,AAAA", "blob:http://x/y"],
    ...["https://example.com/x.png", ` ${good[0]}`, `${good[0]}\n`, "data:image/png,AAAA"],
    `${longest}A`,
  ];
  for (const value of bad) assertEquals(isImageUrl(value), false, String(value).slice(0, 40));
});

Deno.test("a message of as many images as may be, each as long as may be, is under 8 MiB", () => {
  assertEquals(IMAGES_MAX * IMAGE_CHARS_MAX < 8 * 2 ** 20 - 2 ** 18, true);
});

Deno.test("sizeWithin() keeps the shape, enlarges nothing and leaves a pixel of a line", () => {
  const size = (width: number, height: number) =>
    Object.values(sizeWithin({ width, height }, 100)).join(" ");
  assertEquals([size(400, 300), size(300, 400), size(100, 7), size(9000, 3)], [
    ...["100 75", "75 100", "100 7", "100 1"],
  ]);
});
