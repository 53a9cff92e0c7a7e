/**
 * Which ids would go on with what was said before, and how much of it: what DRY ("don't repeat
 * yourself", p-e-w's sampler of text-generation-webui) takes off their scores. Works on ids; knows
 * no text: what breaks a repetition is a list of ids. Telling it an id allocates nothing but, now
 * and then, twice the room for those so far.
 */

/** How repetitions count. */
export interface RepeatSettings {
  readonly dryMultiplier: number;
  /** At least 1. */
  readonly dryBase: number;
  readonly dryAllowedLength: number;
  /** -1 = all. */
  readonly dryLastN: number;
}

/** The largest power that an f32 still holds, as the natural logarithm. */
const LN_F32_MAX = 88.7228391;

export class Repeats {
  readonly #settings: RepeatSettings;
  /** [vocab]: ids that no repetition goes across. */
  readonly #breaks: Uint8Array;
  #ids = new Int32Array(1024);
  #count = 0;
  /** How many ids came behind the last one that breaks. */
  #unbroken = 0;
  /** [ids]: how many of the last ids stand before the place that is so far from the end, too. */
  #lengths = new Int32Array(1024);
  /** [vocab]: one more than the longest repetition that an id would go on with; 0 of the others. */
  readonly #longest: Int32Array;
  /** [vocab]: ids that would. */
  readonly #found: Int32Array;

  constructor(vocabSize: number, settings: RepeatSettings, breakers: readonly number[]) {
    this.#settings = settings;
    this.#breaks = new Uint8Array(vocabSize);
    for (const id of breakers) this.#breaks[id] = 1;
    this.#longest = new Int32Array(vocabSize);
    this.#found = new Int32Array(vocabSize);
  }

  /** Tells it an id of the prompt or the answer, in order. */
  add(id: number): void {
    if (this.#count === this.#ids.length) {
      const ids = new Int32Array(2 * this.#count);
      ids.set(this.#ids);
      this.#ids = ids;
      this.#lengths = new Int32Array(2 * this.#count);
    }
    this.#ids[this.#count++] = id;
    this.#unbroken = this.#breaks[id] ? 0 : this.#unbroken + 1;
  }

  /** Takes off the scores [vocab] of ids that would go on with a repetition. */
  penalise(scores: Float32Array): void {
    const { dryMultiplier, dryBase, dryAllowedLength, dryLastN } = this.#settings;
    const window = dryLastN < 0 ? this.#count : Math.min(this.#count, dryLastN);
    const lengthMax = Math.min(this.#unbroken, window);
    if (window <= dryAllowedLength || lengthMax < dryAllowedLength) return;
    this.#measure(window);
    const powerMax = dryBase > 1.000001 ? Math.floor(LN_F32_MAX / Math.log(dryBase)) : 0;
    const found = this.#find(window, lengthMax);
    for (let i = 0; i < found; i++) {
      const id = this.#found[i];
      const power = this.#longest[id] - 1 - dryAllowedLength;
      this.#longest[id] = 0;
      if (this.#breaks[id]) continue;
      scores[id] -= dryMultiplier * dryBase ** (powerMax > 0 ? Math.min(power, powerMax) : power);
    }
  }

  /** Fills the lengths of the last `window` places: the Z-algorithm, from the end; linear. */
  #measure(window: number): void {
    const lengths = this.#lengths;
    const ids = this.#ids;
    const last = this.#count - 1;
    // What is known: ids[last - k] for k in [start, end) are those at the end.
    let start = 0;
    let end = 0;
    for (let k = 1; k < window; k++) {
      let length = k < end ? Math.min(lengths[k - start], end - k) : 0;
      while (k + length < window && ids[last - length] === ids[last - k - length]) length++;
      lengths[k] = length;
      if (k + length > end) {
        start = k;
        end = k + length;
      }
    }
  }

  /** Finds the ids behind repetitions of enough ids; how many. */
  #find(window: number, lengthMax: number): number {
    const least = this.#settings.dryAllowedLength;
    let count = 0;
    for (let k = 1; k < window; k++) {
      const length = Math.min(this.#lengths[k], lengthMax);
      if (length < least) continue;
      const id = this.#ids[this.#count - k];
      if (this.#longest[id] === 0) this.#found[count++] = id;
      this.#longest[id] = Math.max(this.#longest[id], length + 1);
    }
    return count;
  }
}
