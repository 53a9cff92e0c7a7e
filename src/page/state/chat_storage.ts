/**
 * Chats in the browser's database, which all tabs share: they tell each other what they keep. A
 * browser that keeps nothing (a private window) still chats: then they live as long as the page.
 */
import type { Chat } from "../types.ts";

const NAME = "ganglion";
const STORE = "chats";

export class ChatStorage {
  readonly #database: IDBDatabase | null;
  readonly #tabs = new BroadcastChannel(NAME);

  private constructor(database: IDBDatabase | null) {
    this.#database = database;
  }

  static async open(): Promise<ChatStorage> {
    try {
      const request = indexedDB.open(NAME, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
      return new ChatStorage(await done(request));
    } catch {
      return new ChatStorage(null);
    }
  }

  /** False: chats are gone when the page is. */
  get isLasting(): boolean {
    return this.#database !== null;
  }

  async all(): Promise<readonly Chat[]> {
    if (this.#database === null) return [];
    return await done<Chat[]>(this.#store("readonly").getAll());
  }

  /** Calls back with what another tab has kept, undefined: has removed. */
  onChange(tell: (id: string, chat: Chat | undefined) => void): void {
    this.#tabs.onmessage = async ({ data }: MessageEvent<string>) => {
      if (this.#database !== null) tell(data, await done(this.#store("readonly").get(data)));
    };
  }

  async put(chat: Chat): Promise<void> {
    if (this.#database === null) return;
    await done(this.#store("readwrite").put(chat));
    this.#tabs.postMessage(chat.id);
  }

  async remove(id: string): Promise<void> {
    if (this.#database === null) return;
    await done(this.#store("readwrite").delete(id));
    this.#tabs.postMessage(id);
  }

  #store(mode: IDBTransactionMode): IDBObjectStore {
    return this.#database!.transaction(STORE, mode).objectStore(STORE);
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
