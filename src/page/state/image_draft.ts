/** Images that go with the message that is being written. */
import { type AppStore, currentModel } from "./app_state.ts";
import { IMAGES_MAX } from "./image_urls.ts";

export interface ImageDraftOptions {
  readonly store: AppStore;
  /** Makes an image of a file. */
  readonly read: (file: File) => Promise<string>;
  readonly tell: (text: string) => void;
}

export class ImageDraft {
  readonly #by: ImageDraftOptions;

  constructor(options: ImageDraftOptions) {
    this.#by = options;
  }

  /** Takes files in their order; says why where it does not. */
  async attach(files: readonly File[]): Promise<void> {
    const { store, read, tell } = this.#by;
    if (files.length === 0) return;
    if (!currentModel(store.state)?.seesImages) {
      return tell("This model sees no images, or is not loaded yet: choose one that does.");
    }
    const { images, reading } = store.state.draft;
    const room = IMAGES_MAX - images.length - reading;
    const troubles = files.length > room ? [`A message has at most ${IMAGES_MAX} images.`] : [];
    const taken = files.slice(0, Math.max(0, room));
    this.#change({ reading: taken.length });
    for (const file of taken) {
      try {
        this.#change({ reading: -1, added: [await read(file)] });
      } catch (error) {
        this.#change({ reading: -1 });
        troubles.push(error instanceof Error ? error.message : String(error));
      }
    }
    if (troubles.length > 0) tell([...new Set(troubles)].join(" "));
  }

  remove(index: number): void {
    const { draft } = this.#by.store.state;
    const images = draft.images.filter((_, each) => each !== index);
    this.#by.store.set({ draft: { ...draft, images } });
  }

  /** They are in a message now. */
  clear(): void {
    const { draft } = this.#by.store.state;
    this.#by.store.set({ draft: { ...draft, images: [] } });
  }

  #change({ reading, added = [] }: { readonly reading: number; readonly added?: string[] }): void {
    const { draft } = this.#by.store.state;
    const images = [...draft.images, ...added];
    this.#by.store.set({ draft: { images, reading: draft.reading + reading } });
  }
}
