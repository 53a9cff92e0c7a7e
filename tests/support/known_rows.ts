/** What a reference makes of a tower's input is asked for several times, and computed once. */
import { createHash } from "node:crypto";
import type { TowerInput } from "../../src/model/mod.ts";

/** Remembers rows by what `tower` says of their tower, and by all that is in their input. */
export class KnownRows {
  readonly #rows = new Map<string, Float64Array>();

  of(tower: unknown, input: TowerInput, compute: () => Float64Array): Float64Array {
    const hash = createHash("sha256").update(JSON.stringify(tower));
    for (const [name, value] of Object.entries(input)) {
      hash.update(`${name} `);
      if (!ArrayBuffer.isView(value)) hash.update(JSON.stringify(value ?? null));
      else hash.update(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    }
    const key = hash.digest("hex");
    const rows = this.#rows.get(key) ?? compute();
    this.#rows.set(key, rows);
    return rows;
  }
}
