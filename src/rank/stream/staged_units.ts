/**
 * Units of a packed file as dense blocks, brought as a whole into places of an arena: of neurons
 * that all fire, and where a step has so many tokens that nearly every one fires for one of them.
 * A unit stays until its place is wanted. While one is computed, the first pieces of the next one
 * are under way.
 */
import { moveUnit, type Streamed } from "../bound/bound_blocks.ts";
import { CACHE_HITS, CACHE_MISSES } from "../plan/counts.ts";
import type { OwnUnit } from "../plan/own_units.ts";
import type { UnitPlaces } from "./unit_places.ts";
import type { UnitReader } from "../load/unit_reader.ts";

export interface ArenaStage {
  readonly memory: WebAssembly.Memory;
  readonly reader: UnitReader;
  readonly units: ReadonlyMap<number, OwnUnit>;
  readonly places: UnitPlaces;
  readonly placeBytes: number;
  /** What the rank counts: counts.ts. */
  readonly counts: Float64Array;
}

export class StagedUnits {
  /** By arena. */
  readonly #stages: readonly ArenaStage[];

  constructor(stages: readonly ArenaStage[]) {
    this.#stages = stages;
  }

  /**
   * Brings a unit of that arena, unless it is there: `block.inPlace` is where, until the next call.
   * next: the unit that will probably be wanted after it; -1: nobody knows. passes: the step needs
   * nearly all units, so that none is to drive out another.
   * @returns why a piece could not be read; empty: all was.
   */
  bring(block: Streamed, arena: number, next: number, passes: boolean): string {
    const { reader, units, places, placeBytes, counts } = this.#stages[arena];
    const unit = units.get(block.unit)!;
    const found = places.use(block.unit);
    const place = found < 0 ? places.claim(block.unit, passes) : found;
    if (places.keeps) counts[found < 0 ? CACHE_MISSES : CACHE_HITS] += unit.count;
    moveUnit(block, place * placeBytes);
    const isWhole = found >= 0 || this.#read(block, unit, arena);
    if (!isWhole) places.release(place);
    const following = places.has(next) ? undefined : units.get(next);
    if (following?.arena === arena) reader.prefetch(following);
    return isWhole ? "" : reader.failure;
  }

  /** @returns false when a piece could not be read. */
  #read(block: Streamed, unit: OwnUnit, arena: number): boolean {
    const { memory, reader } = this.#stages[arena];
    const { inPlace } = block;
    const to = {
      gate: block.gateParts.length > 0 ? null : inPlace.gate,
      up: inPlace.up,
      down: inPlace.down,
    };
    reader.clear(unit, to.down);
    const isWhole = reader.read(
      unit,
      (address, first, count) => reader.spread(unit, { address, first, count }, to),
    );
    if (block.factors !== 0) {
      const target = inPlace.down.offsetBytes + unit.columnCount * inPlace.down.columnStrideBytes;
      new Uint8Array(memory.buffer)
        .copyWithin(target, block.factors, block.factors + block.factorsSizeBytes);
    }
    return isWhole;
  }
}
