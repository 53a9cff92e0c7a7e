/** Images and sounds that go with the message that is being written. */
import type { ModelInfo } from "../types.ts";
import { type AppStore, currentModel } from "./app_state.ts";
import { IMAGES_MAX } from "./image_urls.ts";
import { isSoundFile } from "./sound_urls.ts";

export interface ImageDraftOptions {
  readonly store: AppStore;
  /** Makes an image of a file. */
  readonly read: (file: File) => Promise<string>;
  /** Makes a sound of a file. */
  readonly readSound: (file: File) => Promise<string>;
  readonly tell: (text: string) => void;
}

export class ImageDraft {
  readonly #by: ImageDraftOptions;

  constructor(options: ImageDraftOptions) {
    this.#by = options;
  }

  /** Takes files in their order; says why where it does not. */
  async attach(files: readonly File[]): Promise<void> {
    const { store, read, readSound, tell } = this.#by;
    const refusal = refusalOf(files, currentModel(store.state));
    if (refusal !== null) return tell(refusal);
    const { images, reading } = store.state.draft;
    const room = IMAGES_MAX - images.length - reading;
    const troubles = files.length > room ? [tooMany(files)] : [];
    const taken = files.slice(0, Math.max(0, room));
    this.#change({ reading: taken.length });
    for (const file of taken) {
      try {
        this.#change({ reading: -1, added: [await (isSoundFile(file) ? readSound : read)(file)] });
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

/** Why a model is not shown files; null: it may be. */
function refusalOf(files: readonly File[], model: ModelInfo | undefined): string | null {
  for (const file of files) {
    const isSound = isSoundFile(file);
    if (isSound ? model?.hearsSounds : model?.seesImages) continue;
    return isSound
      ? "This model hears no sounds, or is not loaded yet: choose one that does."
      : "This model sees no images, or is not loaded yet: choose one that does.";
  }
  return null;
}

function tooMany(files: readonly File[]): string {
  return `A message has at most ${IMAGES_MAX} ${files.every(isSoundFile) ? "sounds" : "images"}.`;
}
