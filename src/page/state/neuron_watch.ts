/** Looks at the model's neurons again and again while somebody wants to see them. */
import type { Client } from "../server/client.ts";
import { between, lookAtNeurons, type NeuronLook, total } from "../server/neurons.ts";
import { type AppStore, currentModel } from "./app_state.ts";

const LOOK_MS = 500;
/** A sample of which a layer has had nothing to do for so long is taken as it is. */
const PATIENCE_MS = 5000;
/** Samples that are drawn. */
export const SAMPLES_MAX = 60;

export class NeuronWatch {
  readonly #store: AppStore;
  readonly #client: Client;
  #last: NeuronLook | null = null;
  /** Where the sample begins that is under way. */
  #from: NeuronLook | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOn = false;
  /** Which start it was: a look that is under way when it is stopped goes on with nothing. */
  #run = 0;

  constructor(store: AppStore, client: Client) {
    this.#store = store;
    this.#client = client;
  }

  start(): void {
    if (this.#isOn) return;
    this.#isOn = true;
    this.#look(++this.#run);
  }

  stop(): void {
    this.#isOn = false;
    this.#run++;
    clearTimeout(this.#timer);
    this.#last = this.#from = null;
  }

  async #look(run: number): Promise<void> {
    const model = currentModel(this.#store.state)?.id;
    if (model !== undefined && !document.hidden) {
      // null: the picker of models says what is wrong
      const look = await lookAtNeurons(this.#client, model).catch(() => null);
      if (run !== this.#run) return;
      if (look === null) this.#last = this.#from = null;
      else this.#note(look);
    }
    this.#timer = setTimeout(() => this.#look(run), LOOK_MS);
  }

  #note(look: NeuronLook): void {
    const { neurons } = this.#store.state;
    const since = this.#last === null ? null : between(this.#last, look);
    const isIdle = since === null || total(since.layers).neurons === 0;
    this.#last = look;
    const sample = this.#from === null ? null : between(this.#from, look);
    // A slow model has not come to all layers yet: the sample goes on until it has.
    const isWhole = sample !== null && total(sample.layers).neurons > 0 &&
      (sample.layers.every(({ neurons }) => neurons > 0) || sample.ms > PATIENCE_MS);
    if (isWhole || isIdle) this.#from = look;
    const isSame = neurons?.model === look.model && neurons.layerCount === look.layers.length;
    const samples = isSame ? neurons.samples : [];
    this.#store.set({
      neurons: {
        ...{ model: look.model, isSparse: look.isSparse, isStreamed: look.isStreamed },
        ...{ layerCount: look.layers.length, isIdle },
        samples: isWhole ? [...samples, sample].slice(-SAMPLES_MAX) : samples,
      },
    });
  }
}
