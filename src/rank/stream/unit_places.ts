/**
 * Which unit of a packed file lies in which place of an arena, as a whole: what was used last
 * stays. Knows no bytes. (The same of neurons: neuron_cache.ts of src/cache.)
 */

const NOTHING = -1;

export class UnitPlaces {
  /** By place: the unit in it, and when it was used last. */
  readonly #units: Int32Array;
  readonly #usedAt: Float64Array;
  /** By unit. */
  readonly #places: Int32Array;
  #now = 0;

  /**
   * The last place is for units that pass through. An only place keeps nothing: bundles that find
   * no slot lie there, too.
   */
  constructor(placeCount: number, unitCount: number) {
    this.#units = new Int32Array(placeCount).fill(NOTHING);
    this.#usedAt = new Float64Array(placeCount);
    this.#places = new Int32Array(unitCount).fill(NOTHING);
  }

  has(unit: number): boolean {
    return this.keeps && unit >= 0 && this.#places[unit] !== NOTHING;
  }

  /** Units stay: there is more than one place. */
  get keeps(): boolean {
    return this.#units.length > 1;
  }

  /** The place of a unit that is to be computed; -1: it has none. */
  use(unit: number): number {
    if (!this.has(unit)) return NOTHING;
    const place = this.#places[unit];
    this.#usedAt[place] = ++this.#now;
    return place;
  }

  /**
   * A place for a unit that has none. Who was there last used longest ago, leaves. passes: a step
   * needs nearly all units one after the other, so that what comes would only drive out what would
   * have been needed; then all but one stay.
   */
  claim(unit: number, passes: boolean): number {
    const place = passes ? this.#passing() : this.#leastRecent();
    this.release(place);
    this.#units[place] = unit;
    this.#places[unit] = place;
    this.#usedAt[place] = ++this.#now;
    return place;
  }

  /** Nothing lies there, or nothing that is right. */
  release(place: number): void {
    const unit = this.#units[place];
    if (unit !== NOTHING) this.#places[unit] = NOTHING;
    this.#units[place] = NOTHING;
    this.#usedAt[place] = 0;
  }

  /** An empty place as long as there is one. */
  #passing(): number {
    const empty = this.#leastRecent();
    return this.#units[empty] === NOTHING ? empty : this.#units.length - 1;
  }

  #leastRecent(): number {
    const usable = Math.max(1, this.#units.length - 1);
    let least = 0;
    for (let place = 1; place < usable; place++) {
      if (this.#usedAt[place] < this.#usedAt[least]) least = place;
    }
    return least;
  }
}
