/**
 * A tower that looks at rows of another one: its threads, started when the first rows come, and
 * how rows of both become those of a text model.
 */
import { check } from "../../base/check.ts";
import type { TowerInput } from "../../model/vision_types.ts";
import { type PlannedTower, startSecond } from "./load_tower.ts";
import { TowerThreads } from "./tower_threads.ts";

export class SecondTower {
  readonly #planned: PlannedTower;
  readonly #threads: TowerThreads;

  constructor(planned: PlannedTower) {
    this.#planned = planned;
    this.#threads = new TowerThreads(() => startSecond(planned));
  }

  /**
   * What it makes of the numbers of rows that it reads, and the others added, if there are any,
   * [kept, outputLength].
   * @param rows [kept, numbers that it reads + outputLength], or [kept, numbers that it reads]
   */
  async see(
    rows: Float32Array,
    { second }: TowerInput,
    signal?: AbortSignal,
  ): Promise<Float32Array> {
    const { patches, projector, embeddingLength: d } = this.#planned.second!.description.config;
    check(second !== undefined, "an image was prepared for both towers");
    const { count, kept, added } = second;
    // Of both towers' rows, or of this one's alone.
    const width = rows.length / kept;
    const others = width - patches!.length;
    check(others === 0 || others === projector!.outputLength, "rows of the first tower");
    check(added.length === count * d, "as many rows to add");
    const own = new Float32Array(count * patches!.length);
    for (let row = 0; row < kept; row++) {
      const from = row * width;
      own.set(rows.subarray(from, from + patches!.length), row * patches!.length);
    }
    const engine = await this.#threads.ready();
    const input = { count, kept, added, patches: own, positions: null };
    const seen = await engine.images.see(input, signal);
    if (others === 0) return seen;
    for (let row = 0, at = 0; row < kept; row++) {
      let from = row * width + patches!.length;
      for (let i = 0; i < projector!.outputLength; i++) seen[at++] += rows[from++];
    }
    return seen;
  }

  async close(): Promise<void> {
    await this.#threads.close();
  }
}
