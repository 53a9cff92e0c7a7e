import { assertEquals } from "@std/assert";
import {
  isSoundUrl,
  SOUND_CHARS_MAX,
  soundData,
  soundTypeOf,
} from "../../../src/page/state/sound_urls.ts";
import { readChats, writeChats } from "../../../src/page/state/chat_file.ts";
import { soundFile, writeWav } from "../../support/sound_files.ts";

Deno.test("soundTypeOf() knows the files that servers read by their first bytes", () => {
  const heads = [
    [writeWav({ values: [0] }), "audio/wav"],
    [soundFile("tone.mp3"), "audio/mpeg"],
    [soundFile("tone.flac"), "audio/flac"],
    [soundFile("tone.opus"), "audio/ogg"],
    [soundFile("tone.webm"), "audio/webm"],
    [soundFile("talk.m4a"), "audio/mp4"],
    [soundFile("clicks.aac"), "audio/aac"],
    [new TextEncoder().encode("#!AMR\n"), null],
    [Uint8Array.of(0xff, 0xd8, 0xff, 0xe0), null],
    [new Uint8Array(), null],
  ] as const;
  for (const [file, type] of heads) assertEquals(soundTypeOf(file.subarray(0, 12)), type);
});

Deno.test("chats of files may have sounds, and nothing that looks like one", () => {
  const url = "data:audio/wav;base64,UklGRg==";
  assertEquals([isSoundUrl(url), soundData(url)], [true, "UklGRg=="]);
  for (const type of ["webm", "mp4", "aac"]) {
    assertEquals(isSoundUrl(`data:audio/${type};base64,GkXfow==`), true);
  }
  const wrong = [
    7,
    "data:audio/svg+xml;base64,UklGRg==",
    "https://example.org/a.wav",
    "data:audio/wav;base64,UklG Rg==",
    `data:audio/wav;base64,${"A".repeat(SOUND_CHARS_MAX)}`,
  ];
  assertEquals(wrong.map(isSoundUrl), wrong.map(() => false));
  const node = { id: "a", parentId: null, role: "user", content: "", images: [url] } as const;
  const chat = {
    ...{ id: "c", title: "t", createdMs: 1, updatedMs: 2 },
    nodes: [node],
    leafId: "a",
  };
  const [read] = readChats(writeChats([chat])[0], () => "new");
  assertEquals(read.nodes[0].images, [url]);
});
