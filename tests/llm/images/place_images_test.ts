import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { RequestError } from "../../../src/base/errors.ts";
import { createChatTemplate } from "../../../src/chat/mod.ts";
import { runSteps } from "../../../src/base/steps.ts";
import { idsWithImages, renderWithImages } from "../../../src/llm/images/place_images.ts";
import type { ChatMessage } from "../../../src/llm/types.ts";

const FILE = Uint8Array.of(1);
const joined = (messages: readonly ChatMessage[]) =>
  messages.map(({ content }) => content).join("|");

Deno.test("renderWithImages() finds the places of images in what a template makes of messages", () => {
  const messages: ChatMessage[] = [
    { role: "system", content: "s" },
    {
      role: "user",
      content: "ab",
      images: [{ at: 0, file: FILE }, { at: 1, file: FILE }, { at: 2, file: FILE }],
    },
    { role: "user", content: "", images: [{ at: 0, file: FILE }] },
  ];
  const { texts, images } = renderWithImages(messages, joined);
  assertEquals(texts, ["s|", "a", "b", "|", ""]);
  assertEquals(images, [0, 1, 2, 3]);
  const reversed = renderWithImages(messages, (all) => joined(all.toReversed()));
  assertEquals(reversed.images, [3, 0, 1, 2]);
});

Deno.test("renderWithImages() shows templates no files, and text that looks like a mark stays text", () => {
  const written = "[image 00000000-0000-0000-0000-000000000000 0]";
  const messages = [{ role: "user", content: written, images: [{ at: 0, file: FILE }] }];
  const { texts, images } = renderWithImages(messages, (all) => {
    assertEquals(all.map((message) => "images" in message), [false]);
    return joined(all);
  });
  assertEquals([texts, images], [["", written], [0]]);
});

Deno.test("renderWithImages() goes through Jinja, and says when a template leaves an image out", () => {
  const render = (template: string) => {
    const chat = createChatTemplate({ template, bosText: "", eosText: "", specialTexts: ["<x>"] });
    const images = [{ at: 1, file: FILE }];
    const messages = [{ role: "user", content: "a<x>", images }];
    return renderWithImages(messages, (all) => chat.render(all));
  };
  const whole = render("{% for m in messages %}<{{ m.content | trim }}>{% endfor %}");
  assertEquals(whole.texts.map((text) => text.replace("\ud800", "*")), ["<a", "<*x>>"]);
  const error = assertThrows(() => render("nothing"), RequestError);
  assertStringIncludes(error.message, "leaves out image 1 of 1");
  assertEquals([error.status, error.param], [400, "messages"]);
});

Deno.test("idsWithImages() encodes texts one by one, and none where there is none", () => {
  const encoded: string[] = [];
  const seen = { ids: [[7, -1, -2], [-9]], given: [] };
  const placed = { texts: ["", "b", "c"], images: [1, 0] };
  // deno-lint-ignore require-yield
  const ids = runSteps(idsWithImages(placed, seen, function* (text) {
    encoded.push(text);
    return [text.charCodeAt(0)];
  }));
  assertEquals(encoded, ["b", "c"]);
  assertEquals(ids, [-9, 98, 7, -1, -2, 99]);
});
