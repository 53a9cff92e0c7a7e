/** What people do with chats: write, stop, ask again, edit, change branches, keep, search. */
import type { Chat, ChatNode } from "../types.ts";
import type { Client } from "../server/client.ts";
import { ask } from "../server/completion.ts";
import { troubleOf } from "../server/errors.ts";
import { type AppStore, currentChat, currentModel } from "./app_state.ts";
import { readChats, writeChats } from "./chat_file.ts";
import type { ChatStorage } from "./chat_storage.ts";
import { addNode, pathTo, showBranch, updateNode } from "./chat_tree.ts";
import { withImages } from "./image_urls.ts";

/** Text is shown so often while it comes. */
const SHOW_MS = 40;
/** And kept so often. */
const KEEP_MS = 1000;
/** A file to import is at most so large. */
const FILE_BYTES_MAX = 256 * 2 ** 20;

export interface ChatActionsOptions {
  readonly store: AppStore;
  readonly client: Client;
  readonly storage: ChatStorage;
  readonly tell: (text: string, action?: { label: string; run: () => void }) => void;
  /** Told when a question is on its way. */
  readonly onSent: () => void;
}

export class ChatActions {
  readonly #by: ChatActionsOptions;
  readonly #store: AppStore;
  /** When a part of an answer was kept. */
  #keptMs = -Infinity;

  constructor(options: ChatActionsOptions) {
    this.#by = options;
    this.#store = options.store;
  }

  async load(): Promise<void> {
    const { storage, tell } = this.#by;
    try {
      this.#store.set({ chats: await storage.all() });
    } catch {
      tell("The chats that this browser keeps cannot be read.");
    }
    storage.onChange((id, chat) => this.#takeOver(id, chat));
    if (!storage.isLasting) tell("This browser keeps nothing: export what you want to keep.");
  }

  /** Shows a chat; null: a new one. */
  open(chatId: string | null): void {
    const isNarrow = !matchMedia("(min-width: 60rem)").matches;
    this.#store.set({ chatId, editingId: null, ...isNarrow ? { isSidebarOpen: false } : {} });
  }

  /** Says something behind what is shown, and has it answered. */
  send(content: string, images: readonly string[] = []): void {
    if (this.#store.state.running !== null || isNothing(content, images)) return;
    const now = Date.now();
    const chat = currentChat(this.#store.state) ??
      { id: freshId(), title: "New chat", createdMs: now, updatedMs: now, nodes: [], leafId: null };
    const node = userNode(chat.leafId, content, images);
    this.#put(addNode(chat, node));
    this.#store.set({ chatId: chat.id });
    this.#answer(chat.id, node.id);
  }

  /** Says a message in other words: a sibling of it, with an answer of its own. */
  edit(node: ChatNode, content: string, images: readonly string[] = []): void {
    const chat = currentChat(this.#store.state);
    this.#store.set({ editingId: null });
    if (this.#store.state.running !== null || isNothing(content, images) || !chat) return;
    const edited = userNode(node.parentId, content, images);
    this.#put(addNode(chat, edited));
    this.#answer(chat.id, edited.id);
  }

  /** Has what was said before an answer answered once more: a sibling of it. */
  regenerate(node: ChatNode): void {
    const chat = currentChat(this.#store.state);
    if (this.#store.state.running !== null || chat === undefined || node.parentId === null) return;
    this.#answer(chat.id, node.parentId);
  }

  stop(): void {
    this.#store.state.running?.abort.abort();
  }

  /** Shows another version of a message. */
  show(node: ChatNode): void {
    const chat = currentChat(this.#store.state);
    if (chat !== undefined) this.#put(showBranch(chat, node.id));
  }

  rename(id: string, title: string): void {
    const chat = this.#chat(id);
    const trimmed = title.trim().slice(0, 200);
    if (chat && trimmed !== "" && trimmed !== chat.title) this.#put({ ...chat, title: trimmed });
  }

  remove(id: string): void {
    const { chats, chatId, running } = this.#store.state;
    const chat = this.#chat(id);
    if (chat === undefined) return;
    if (running?.chatId === id) running.abort.abort();
    this.#store.set({
      chats: chats.filter(({ id }) => id !== chat.id),
      chatId: chatId === chat.id ? null : chatId,
    });
    this.#keep(() => this.#by.storage.remove(chat.id));
    this.#by.tell("The chat is deleted.", {
      label: "Undo",
      run: () => (this.#put(chat), this.#store.set({ notice: null })),
    });
  }

  /** Lets the browser save all chats as a file, or as several where they are long. */
  export(): void {
    const texts = writeChats(this.#store.state.chats);
    const day = new Date().toISOString().slice(0, 10);
    texts.forEach((text, index) => {
      const part = texts.length === 1 ? "" : `-${index + 1}-of-${texts.length}`;
      saveFile(`ganglion-chats-${day}${part}.json`, text);
    });
  }

  async import(file: File): Promise<void> {
    try {
      if (file.size > FILE_BYTES_MAX) throw new Error("The file is larger than 256 MiB");
      const chats = readChats(await file.text(), freshId);
      for (const chat of chats) this.#put(chat);
      this.#by.tell(`${chats.length === 1 ? "One chat" : `${chats.length} chats`} imported.`);
    } catch (error) {
      this.#by.tell(error instanceof Error ? error.message : String(error));
    }
  }

  /** Has the conversation up to a message answered. */
  async #answer(chatId: string, parentId: string): Promise<void> {
    const { settings } = this.#store.state;
    const model = currentModel(this.#store.state)?.id;
    const abort = new AbortController();
    const nodeId = freshId();
    const chat = this.#chat(chatId)!;
    const messages = pathTo(chat, parentId)
      .map(({ role, content, images }) => ({ role, content, images }));
    const node = { id: nodeId, parentId, role: "assistant", content: "", model } as const;
    this.#put(addNode(chat, node));
    this.#store.set({ running: { chatId, nodeId, abort } });
    this.#by.onSent();
    this.#keptMs = -Infinity;
    const writer = new AnswerWriter((change) => this.#show(chatId, nodeId, change));
    const question = { model, messages, settings, cacheKey: chatId };
    try {
      for await (const piece of ask(this.#by.client, question, abort.signal)) writer.add(piece);
    } catch (error) {
      writer.end(abort.signal.aborted ? { ending: "stopped" } : { trouble: troubleOf(error) });
    }
    writer.end({});
    this.#store.set({ running: null });
    const answered = this.#chat(chatId);
    if (answered !== undefined) this.#put({ ...answered, updatedMs: Date.now() });
  }

  /** Another tab has kept a chat, or removed it. What is answered here is this tab's. */
  #takeOver(id: string, chat: Chat | undefined): void {
    const { chats, chatId, running } = this.#store.state;
    if (running?.chatId === id) return;
    if (chat !== undefined) return this.#replace(chat);
    this.#store.set({
      chats: chats.filter((each) => each.id !== id),
      chatId: chatId === id ? null : chatId,
    });
  }

  /** Shows a part of an answer. Who leaves meanwhile finds it later, as one that was stopped. */
  #show(chatId: string, nodeId: string, change: Partial<ChatNode>): void {
    const chat = this.#chat(chatId);
    if (chat === undefined) return;
    const changed = updateNode(chat, nodeId, change);
    this.#replace(changed);
    if (performance.now() < this.#keptMs + KEEP_MS) return;
    this.#keptMs = performance.now();
    const unfinished = updateNode(changed, nodeId, { ending: "stopped" });
    this.#keep(() => this.#by.storage.put(unfinished));
  }

  #chat(chatId: string): Chat | undefined {
    return this.#store.state.chats.find(({ id }) => id === chatId);
  }

  #replace(chat: Chat): void {
    const { chats } = this.#store.state;
    this.#store.set({ chats: [chat, ...chats.filter(({ id }) => id !== chat.id)] });
  }

  /** Shows a chat as it is now, and keeps it. */
  #put(chat: Chat): void {
    this.#replace(chat);
    this.#keep(() => this.#by.storage.put(chat));
  }

  #keep(write: () => Promise<void>): void {
    write().catch(() => this.#by.tell("This browser could not keep the chat: export it."));
  }
}

function saveFile(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function isNothing(content: string, images: readonly string[]): boolean {
  return content.trim() === "" && images.length === 0;
}

function userNode(
  parentId: string | null,
  content: string,
  images: readonly string[],
): ChatNode {
  return { id: freshId(), parentId, role: "user", content, ...withImages(images) };
}

/** Collects an answer, and shows it a few times a second. */
class AnswerWriter {
  readonly #show: (change: Partial<ChatNode>) => void;
  #content = "";
  #thoughts = "";
  #rest: Partial<ChatNode> = {};
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(show: (change: Partial<ChatNode>) => void) {
    this.#show = show;
  }

  add(piece: { text: string; thoughts: string; facts: ChatNode["facts"]; isCut: boolean }): void {
    this.#content += piece.text;
    this.#thoughts += piece.thoughts;
    const { facts, isCut } = piece;
    this.#rest = { ...this.#rest, facts, ...isCut ? { ending: "length" as const } : {} };
    this.#timer ??= setTimeout(() => this.#flush(), SHOW_MS);
  }

  end(rest: Partial<ChatNode>): void {
    this.#rest = { ...this.#rest, ...rest };
    clearTimeout(this.#timer);
    this.#flush();
  }

  #flush(): void {
    this.#timer = undefined;
    const thoughts = this.#thoughts === "" ? {} : { thoughts: this.#thoughts };
    // Some models begin an answer with the space that would follow a word.
    this.#show({ ...this.#rest, ...thoughts, content: this.#content.trimStart() });
  }
}

/** Pages without HTTPS have no randomUUID. */
function freshId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
