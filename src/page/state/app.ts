/** The page's parts put together: its state, what people can do, what goes on by itself. */
import { Client } from "../server/client.ts";
import { transcribe } from "../server/transcribe.ts";
import { type AppStore, createStore } from "./app_state.ts";
import { ChatActions } from "./chat_actions.ts";
import { ChatStorage } from "./chat_storage.ts";
import { ImageDraft } from "./image_draft.ts";
import { ModelWatch } from "./model_watch.ts";
import { NeuronWatch } from "./neuron_watch.ts";
import { readImage } from "./read_image.ts";
import { readSound } from "./read_sound.ts";
import { startRecording } from "./recording.ts";
import { loadSettings, saveSettings } from "./settings.ts";
import { VoiceDraft } from "./voice_draft.ts";
import type { Settings } from "../types.ts";

const NOTICE_MS = 6000;

export class App {
  readonly store: AppStore;
  readonly chats: ChatActions;
  readonly images: ImageDraft;
  readonly voice: VoiceDraft;
  readonly models: ModelWatch;
  readonly neurons: NeuronWatch;
  #answerKey: ((key: string | null) => void) | null = null;
  #noticeTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(storage: ChatStorage) {
    const settings = loadSettings();
    this.store = createStore(settings);
    showTheme(settings);
    const client = new Client({ askKey: (isWrong) => this.#askKey(isWrong) });
    this.models = new ModelWatch(this.store, client);
    this.neurons = new NeuronWatch(this.store, client);
    this.images = new ImageDraft({
      ...{ store: this.store, read: readImage, readSound },
      tell: (text) => this.tell(text),
    });
    this.voice = new VoiceDraft({
      ...{ store: this.store, start: startRecording },
      attach: (files) => this.images.attach(files),
      transcribe: (file, model, signal) => transcribe(client, { file, model }, signal),
      tell: (text) => this.tell(text),
    });
    this.chats = new ChatActions({
      ...{ store: this.store, client, storage },
      tell: (text, action) => this.tell(text, action),
      onSent: () => this.models.look(),
    });
  }

  /** Begins: reads what is kept, and looks for the server. */
  static async start(): Promise<App> {
    const storage = await ChatStorage.open();
    const app = new App(storage);
    app.models.start();
    await app.chats.load();
    return app;
  }

  changeSettings(change: Partial<Settings>): void {
    const settings = { ...this.store.state.settings, ...change };
    this.store.set({ settings });
    saveSettings(settings);
    showTheme(settings);
  }

  /** Shows a line for a while. */
  tell(text: string, action?: { label: string; run: () => void }): void {
    clearTimeout(this.#noticeTimer);
    this.store.set({ notice: { text, action } });
    this.#noticeTimer = setTimeout(() => this.store.set({ notice: null }), NOTICE_MS);
  }

  /** What the person says when asked for a key; null: none. */
  giveKey(key: string | null): void {
    this.store.set({ dialog: null });
    this.#answerKey?.(key);
    this.#answerKey = null;
  }

  #askKey(isWrong: boolean): Promise<string | null> {
    this.store.set({ dialog: "key", isKeyWrong: isWrong });
    return new Promise((resolve) => this.#answerKey = resolve);
  }
}

/** Before anything is shown: a page must not be white first and dark then. */
function showTheme({ theme }: Settings): void {
  document.documentElement.dataset.theme = theme;
}
