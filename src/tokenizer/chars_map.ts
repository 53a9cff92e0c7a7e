/**
 * SentencePiece's table of what characters become before text is cut, as files carry it
 * (`precompiled_charsmap`): a double array trie of beginnings, each unit 32 bits (its base in bits
 * 10 to 30, shifted by 8 where bit 9 is set; its byte in bits 0 to 7; bit 8: a replacement's offset
 * is among its children), and behind it the replacements, each ending in a zero. Works on UTF-8.
 */
import { ModelFormatError } from "../base/errors.ts";

/** What longest beginnings real tables have is a dozen bytes; hostile ones may lead in circles. */
const BEGINNING_BYTES_MAX = 256;
/** NFKC's longest replacement, of U+FDFA, has 33 bytes. */
const REPLACEMENT_BYTES_MAX = 256;

/** Finds what is replaced, and by what. */
export class CharsMap {
  readonly #units: Uint32Array;
  /** All replacements: the last match's are bytes `begin` to `end` of them. */
  readonly replacements: Uint8Array;
  begin = 0;
  end = 0;

  /** @throws {ModelFormatError} when sizes do not fit, or a replacement is longer than any real. */
  constructor(table: Uint8Array) {
    const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
    const unitsBytes = table.length < 4 ? 0 : view.getUint32(0, true);
    if (4 + unitsBytes >= table.length) {
      throw formatError(`its ${table.length} bytes cannot hold ${unitsBytes} of a trie`);
    }
    this.#units = new Uint32Array(unitsBytes >> 2);
    for (let i = 0; i < this.#units.length; i++) this.#units[i] = view.getUint32(4 + 4 * i, true);
    this.replacements = table.slice(4 + unitsBytes);
    let begin = 0;
    for (let end; (end = this.replacements.indexOf(0, begin)) >= 0; begin = end + 1) {
      if (end - begin > REPLACEMENT_BYTES_MAX) {
        throw formatError(`a replacement has ${end - begin} bytes, of ${REPLACEMENT_BYTES_MAX}`);
      }
    }
    if (begin < this.replacements.length) throw formatError("its last replacement has no end");
  }

  /**
   * How many bytes of `text` from `at` on are replaced, as many as can be; 0: none. By what is
   * bytes `begin` to `end` of `replacements`.
   */
  match(text: Uint8Array, at: number): number {
    const units = this.#units;
    let length = 0;
    // A table without units leads nowhere: beyond its end there is no byte that would match.
    let node = baseOf(units[0] ?? 0);
    const last = Math.min(text.length, at + BEGINNING_BYTES_MAX);
    for (let i = at; i < last && text[i] !== 0; i++) {
      node ^= text[i];
      const unit = node < units.length ? units[node] : 0;
      if (((unit & 0x800000ff) >>> 0) !== text[i]) break;
      node ^= baseOf(unit);
      if ((unit >>> 8 & 1) === 1 && this.#choose(units[node])) length = i + 1 - at;
    }
    return length;
  }

  /** Whether there is such a replacement: what is beyond the end of the table is none. */
  #choose(unit: number | undefined): boolean {
    const begin = (unit ?? -1) & 0x7fffffff;
    if (begin >= this.replacements.length) return false;
    this.begin = begin;
    this.end = this.replacements.indexOf(0, begin);
    return true;
  }
}

function baseOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

function formatError(problem: string): ModelFormatError {
  return new ModelFormatError(
    `Cannot use metadata "tokenizer.ggml.precompiled_charsmap": ${problem}: convert the model anew`,
    { offsetBytes: 0 },
  );
}
