/**
 * Units of a packed file as dense blocks: brought as a whole into the place that they share, where
 * a step has so many tokens that nearly every neuron fires for one of them. While a unit is
 * computed, the first pieces of the next one are under way.
 */
import type { Streamed } from "./bound_blocks.ts";
import type { OwnUnit } from "./own_units.ts";
import type { UnitReader } from "./unit_reader.ts";

export interface ArenaStage {
  readonly memory: WebAssembly.Memory;
  readonly reader: UnitReader;
  readonly units: ReadonlyMap<number, OwnUnit>;
}

export class StagedUnits {
  /** By arena. */
  readonly #stages: readonly ArenaStage[];

  constructor(stages: readonly ArenaStage[]) {
    this.#stages = stages;
  }

  /**
   * Brings a unit of that arena. next: the unit that will probably be wanted after it, or null.
   * The block is there until the next call.
   * @returns why a piece could not be read; empty: all was.
   */
  bring(block: Streamed, arena: number, next: number | null): string {
    const { memory, reader, units } = this.#stages[arena];
    const unit = units.get(block.unit)!;
    const { staged } = block;
    const to = {
      gate: block.gateParts.length > 0 ? null : staged.gate,
      up: staged.up,
      down: staged.down,
    };
    const isWhole = reader.read(
      unit,
      (address, first, count) => reader.spread(unit, { address, first, count }, to),
    );
    if (block.factors !== 0) {
      const target = staged.down.offsetBytes + unit.count * staged.down.columnStrideBytes;
      new Uint8Array(memory.buffer)
        .copyWithin(target, block.factors, block.factors + block.factorsSizeBytes);
    }
    const following = next === null ? undefined : units.get(next);
    if (following !== undefined) reader.prefetch(following);
    return isWhole ? "" : reader.failure;
  }
}
