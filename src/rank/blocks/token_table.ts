/**
 * The table of what tokens give layers: it stays in the file, of which a token needs one row. Knows
 * nothing of what becomes of a row.
 */
import type { TensorReader } from "../../gguf/tensor_reader.ts";
import type { GgufTensor } from "../../gguf/types.ts";
import { dequantizeInto } from "../../model/quants/dequantize.ts";
import type { TokenInputsPlan } from "../plan/plan_inputs.ts";
import { lengthOf } from "../plan/shard.ts";

/** Rows of tokens, and where they come from. */
export interface TokenRows {
  readonly reader: TensorReader;
  readonly tensor: GgufTensor;
}

export class TokenTable {
  /** √(numbers of a layer's input): what a row is multiplied by. */
  readonly scale: number;
  readonly #rows: TokenRows;
  readonly #rowBytes: number;
  readonly #startBytes: number;
  /** Of one token: as stored, and as numbers. */
  readonly #bytes: Uint8Array;
  readonly #values: Float32Array;

  constructor(rows: TokenRows, { table, layers, length }: TokenInputsPlan) {
    this.scale = Math.sqrt(length);
    this.#rows = rows;
    this.#rowBytes = table.rowBytes;
    this.#startBytes = table.startBytes;
    this.#bytes = new Uint8Array(table.sizeBytes);
    this.#values = new Float32Array(lengthOf(layers) * length);
  }

  /** @throws {ModelFormatError} when the file was written to. */
  requireUnchanged(): void {
    this.#rows.reader.requireUnchanged();
  }

  /**
   * Own layers' part of a token's row, [own layers · length]: a view that the next call overwrites.
   * What no token is, a row that was given (`given_rows.ts`), has that of id 0, which pads texts.
   * @throws {ModelFormatError} when the file cannot be read any more.
   */
  rowOf(id: number): Float32Array {
    const { reader, tensor } = this.#rows;
    reader.read(tensor, Math.max(0, id) * this.#rowBytes + this.#startBytes, this.#bytes);
    dequantizeInto(tensor.type, this.#bytes, this.#values);
    return this.#values;
  }
}
