/** Looks at the model's neurons again and again while somebody wants to see them. */
import type { Client } from "../server/client.ts";
import { between, lookAtNeurons, type NeuronLook, total } from "../server/neurons.ts";
import { type AppStore, currentModel } from "./app_state.ts";

const LOOK_MS = 500;
/** Samples that are drawn. */
export const SAMPLES_MAX = 60;

export class NeuronWatch {
  readonly #store: AppStore;
  readonly #client: Client;
  #last: NeuronLook | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOn = false;

  constructor(store: AppStore, client: Client) {
    this.#store = store;
    this.#client = client;
  }

  start(): void {
    if (this.#isOn) return;
    this.#isOn = true;
    this.#look();
  }

  stop(): void {
    this.#isOn = false;
    clearTimeout(this.#timer);
    this.#last = null;
  }

  async #look(): Promise<void> {
    const model = currentModel(this.#store.state)?.id;
    if (model !== undefined && !document.hidden) {
      try {
        this.#note(await lookAtNeurons(this.#client, model));
      } catch {
        this.#last = null; // the picker of models says what is wrong
      }
    }
    if (this.#isOn) this.#timer = setTimeout(() => this.#look(), LOOK_MS);
  }

  #note(look: NeuronLook): void {
    const { neurons } = this.#store.state;
    const sample = this.#last === null ? null : between(this.#last, look);
    this.#last = look;
    const isSame = neurons?.model === look.model && neurons.layerCount === look.layers.length;
    const samples = isSame ? neurons.samples : [];
    const isIdle = sample === null || total(sample.layers).neurons === 0;
    this.#store.set({
      neurons: {
        ...{ model: look.model, isSparse: look.isSparse, isStreamed: look.isStreamed },
        ...{ layerCount: look.layers.length, isIdle },
        samples: isIdle ? samples : [...samples, sample].slice(-SAMPLES_MAX),
      },
    });
  }
}
