import { assertEquals, assertThrows } from "@std/assert";
import { readChats, writeChats } from "../../../src/page/state/chat_file.ts";
import type { Chat } from "../../../src/page/types.ts";

const IMAGE = "data:image/png;base64,AAAA";
const CHAT: Chat = {
  ...{ id: "c", title: "About red", createdMs: 1, updatedMs: 2, leafId: "b" },
  nodes: [
    { id: "a", parentId: null, role: "user", content: "Red?", images: [IMAGE] },
    {
      ...{ id: "b", parentId: "a", role: "assistant", content: "Yes.", thoughts: "Hm", model: "m" },
      facts: { tokens: 2, tokensPerSecond: 3, firstTokenMs: 4, promptTokens: 5 },
      ending: "stopped",
      trouble: { message: "lost", cure: "again" },
    },
    { id: "d", parentId: "a", role: "assistant", content: "No." },
  ],
};

function read(text: string): readonly Chat[] {
  let count = 0;
  return readChats(text, () => `fresh ${++count}`);
}

function file(chats: unknown, more = {}): string {
  return JSON.stringify({ format: "ganglion-chats", version: 1, chats, ...more });
}

Deno.test("readChats() reads what writeChats() writes, under fresh ids", () => {
  const [first, second, third, own] = ["fresh 1", "fresh 2", "fresh 3", "fresh 4"];
  const [a, b, d] = CHAT.nodes;
  assertEquals(read(writeChats([CHAT])[0]), [{
    ...CHAT,
    id: own,
    leafId: second,
    nodes: [
      { ...a, id: first },
      { ...b, id: second, parentId: first },
      { ...d, id: third, parentId: first },
    ],
  }]);
});

Deno.test("writeChats() makes several files of chats that are long, and loses none", () => {
  const chats = Array.from({ length: 5 }, (_, index) => ({ ...CHAT, title: `${index}` }));
  const chars = JSON.stringify(CHAT, null, 1).length;
  const titles = (charsMax: number) =>
    writeChats(chats, charsMax).map((text) => read(text).map(({ title }) => title).join(""));
  assertEquals(titles(2 * chars), ["01", "23", "4"]);
  assertEquals(titles(1), ["0", "1", "2", "3", "4"]);
  assertEquals(titles(Infinity), ["01234"]);
  assertEquals(writeChats([]), []);
});

Deno.test("readChats() takes over nothing that it does not know", () => {
  const node = { id: "a", parentId: null, role: "user", content: "x", onclick: "evil", facts: 3 };
  const [chat] = read(file([{ nodes: [node], title: 7, leafId: "none", updatedMs: -1, evil: 1 }]));
  assertEquals(Object.keys(chat).toSorted(), [
    ...["createdMs", "id", "leafId", "nodes", "title", "updatedMs"],
  ]);
  assertEquals(chat.nodes, [{ id: "fresh 1", parentId: null, role: "user", content: "x" }]);
  assertEquals([chat.title, chat.leafId], ["Imported chat", "fresh 1"]);
});

Deno.test("readChats() refuses files that are none, with what to do", () => {
  const node = { id: "a", parentId: null, role: "user", content: "x" };
  const cases: [string, string][] = [
    ["{", "is not JSON"],
    ["null", "holds no chats"],
    [file({}), "holds no chats"],
    [file([], { version: 2 }), "newer version"],
    [file([7]), "Chat 1 of the file has no messages"],
    [file([{ nodes: [node, node] }]), "a message that is none"],
    [file([{ nodes: [{ ...node, role: "system" }] }]), "a message that is none"],
    [file([{ nodes: [{ ...node, content: 3 }] }]), "a message that is none"],
    [file([{ nodes: [{ ...node, images: "x" }] }]), "a message that is none"],
    [file([{ nodes: [{ ...node, images: Array(9).fill(IMAGE) }] }]), "a message that is none"],
    [file([{ nodes: [{ ...node, images: [IMAGE, "data:image/svg+xml;base64,AAAA"] }] }]), "none"],
    // Behind itself, or behind one that comes later: there are no circles.
    [file([{ nodes: [{ ...node, parentId: "a" }] }]), "a message that is none"],
    [file([{ nodes: [{ ...node, parentId: "__proto__" }] }]), "a message that is none"],
    [file(Array(10_001).fill({ nodes: [] })), "more than 10000 chats"],
  ];
  for (const [text, says] of cases) assertThrows(() => read(text), Error, says);
});
