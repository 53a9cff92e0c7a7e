import { assertEquals } from "@std/assert";
import {
  addNode,
  branchOf,
  searchChats,
  showBranch,
  siblingsOf,
  titleOf,
} from "../../../src/page/state/chat_tree.ts";
import type { Chat, ChatNode } from "../../../src/page/types.ts";

const EMPTY: Chat = { id: "c", title: "New", createdMs: 0, updatedMs: 0, nodes: [], leafId: null };

/** "a b" of "b<a": b behind a. Odd depths are the user's. */
function chatOf(...edges: string[]): Chat {
  return edges.reduce((chat, edge) => {
    const [id, parentId = null] = edge.split("<");
    return addNode(chat, { id, parentId, role: "user", content: `says ${id}` });
  }, EMPTY);
}

function shown(chat: Chat): string {
  return branchOf(chat).map(({ id }) => id).join(" ");
}

Deno.test("addNode() shows the branch that ends with the new message", () => {
  assertEquals(shown(chatOf("a", "b<a", "c<b")), "a b c");
  assertEquals(shown(chatOf("a", "b<a", "c<b", "d<a")), "a d");
  assertEquals(shown(EMPTY), "");
});

Deno.test("addNode() names a chat by its first message only", () => {
  assertEquals(chatOf("a", "b<a").title, "says a");
});

Deno.test("addNode() names a chat of an image without words", () => {
  const node = { id: "a", parentId: null, role: "user", content: "" } as const;
  const titles = [{ ...node, images: ["data:"] }, node].map((each) => addNode(EMPTY, each).title);
  assertEquals(titles, ["Image", "New chat"]);
});

Deno.test("siblingsOf() are the versions of a message, also of the first", () => {
  const chat = chatOf("a", "b<a", "c<a", "x");
  const of = (id: string) =>
    siblingsOf(chat, chat.nodes.find((node) => node.id === id) as ChatNode).map((node) => node.id);
  assertEquals([of("b"), of("a")], [["b", "c"], ["a", "x"]]);
});

Deno.test("showBranch() goes down to the newest end of a branch", () => {
  const chat = chatOf("a", "b<a", "c<b", "d<b", "e<d", "z<a");
  assertEquals(shown(showBranch(chat, "b")), "a b d e");
  assertEquals(shown(showBranch(chat, "z")), "a z");
});

Deno.test("searchChats() wants every word somewhere, newest chats first", () => {
  const chats = [
    { ...chatOf("red fish"), id: "1", updatedMs: 1 },
    { ...chatOf("blue FISH"), id: "2", updatedMs: 2 },
  ];
  const found = (query: string) => searchChats(chats, query).map(({ id }) => id).join("");
  assertEquals([found(""), found("fish"), found(" red  fish "), found("whale")], [
    ...["21", "21", "1", ""],
  ]);
});

Deno.test("titleOf() is a first line, cut at a word", () => {
  assertEquals(titleOf("  Hello\nworld"), "Hello");
  assertEquals(titleOf(" \n "), "New chat");
  assertEquals(titleOf(`${"word ".repeat(30)}`), `${"word ".repeat(11)}word…`);
});
