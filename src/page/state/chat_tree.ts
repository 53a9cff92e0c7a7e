/**
 * A chat as a tree: editing a message or asking again makes a sibling, nothing is lost. Pure
 * functions from chats to chats; knows no page.
 */
import type { Chat, ChatNode } from "../types.ts";
import { isOfSound } from "./sound_urls.ts";

const TITLE_CHARS = 60;

/** The messages that are shown, first to last: from the leaf up to the root. */
export function branchOf(chat: Chat): readonly ChatNode[] {
  return pathTo(chat, chat.leafId);
}

/** The messages up to `id`, first to last. */
export function pathTo(chat: Chat, id: string | null): readonly ChatNode[] {
  const byId = new Map(chat.nodes.map((node) => [node.id, node]));
  const path: ChatNode[] = [];
  for (let node = byId.get(id ?? ""); node; node = byId.get(node.parentId ?? "")) path.push(node);
  return path.reverse();
}

/** Versions of a message, oldest first, itself among them. */
export function siblingsOf(chat: Chat, node: ChatNode): readonly ChatNode[] {
  return chat.nodes.filter(({ parentId }) => parentId === node.parentId);
}

function nameOf(url: string | undefined): string {
  return url === undefined ? "" : isOfSound(url) ? "Sound" : "Image";
}

/** Adds a message behind its parent and shows it. */
export function addNode(chat: Chat, node: ChatNode): Chat {
  const isFirst = chat.nodes.length === 0 && node.role === "user";
  return {
    ...chat,
    title: isFirst ? titleOf(node.content || nameOf(node.images?.[0])) : chat.title,
    nodes: [...chat.nodes, node],
    leafId: node.id,
    updatedMs: Date.now(),
  };
}

/** Changes a message, for example one that grows. */
export function updateNode(chat: Chat, id: string, change: Partial<ChatNode>): Chat {
  const nodes = chat.nodes.map((node) => node.id === id ? { ...node, ...change } : node);
  return { ...chat, nodes };
}

/** Shows the branch of a message: down to the end of its newest continuation. */
export function showBranch(chat: Chat, id: string): Chat {
  let leafId = id;
  for (;;) {
    const next = chat.nodes.findLast(({ parentId }) => parentId === leafId);
    if (next === undefined) return { ...chat, leafId };
    leafId = next.id;
  }
}

/** Chats that have all words of a search somewhere, newest first. */
export function searchChats(chats: readonly Chat[], query: string): readonly Chat[] {
  const words = query.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const matches = (chat: Chat) => {
    if (words.length === 0) return true;
    const text = [chat.title, ...chat.nodes.map(({ content }) => content)].join("\n").toLowerCase();
    return words.every((word) => text.includes(word));
  };
  return chats.filter(matches).toSorted((a, b) => b.updatedMs - a.updatedMs);
}

/** The first line of a text, cut at a word. */
export function titleOf(text: string): string {
  const line = text.trim().split("\n")[0].trim();
  if (line === "") return "New chat";
  if (line.length <= TITLE_CHARS) return line;
  return `${line.slice(0, TITLE_CHARS).replace(/\s+\S*$/, "")}…`;
}
