/**
 * What of rows that a prompt brings along is added behind some layers, on a GPU that has all
 * of a model: sent with a step that has such rows. Knows no images.
 */
import {
  addRows,
  columnsFrom,
  type Gpu,
  type ProgramBuilder,
  type Rows,
} from "../../../gpu/mod.ts";
import { partBehind } from "../../model/given_width.ts";
import { check } from "../../base/check.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { GivenTable } from "../step/given_rows.ts";
import type { RankPlan } from "../plan/plan_types.ts";
import { TokenTable } from "../blocks/token_table.ts";
import { SentRows as TableRows } from "./gpu_inputs.ts";
import type { GpuRankInput } from "./gpu_rank.ts";
import type { GpuSpace } from "./gpu_space.ts";

/**
 * Room for the parts of a step's rows, zeros; null: rows have none, or others add them.
 * @throws {GpuOutOfMemoryError} when the GPU has no room for it.
 */
export async function createGivenParts(
  gpu: Gpu,
  { plan, config }: { readonly plan: RankPlan; readonly config: ModelConfig },
): Promise<Rows | null> {
  const { embeddingLength, givenParts = 1 } = config;
  if (givenParts === 1 || !plan.gpu!.isAlone) return null;
  const stride = (givenParts - 1) * embeddingLength;
  const sizeBytes = 4 * plan.chunkTokens * stride;
  const buffer = await gpu.createBuffer("parts of given rows", sizeBytes);
  return { buffer, offsetBytes: 0, sizeBytes, stride };
}

/** Behind a layer: residual += its part, in steps of several tokens of a sequence. */
export function addGivenPart(
  builder: ProgramBuilder,
  index: number,
  { givenParts: parts, config, space: { residual } }: {
    readonly givenParts: Rows | null;
    readonly config: ModelConfig;
    readonly space: GpuSpace;
  },
): void {
  const { embeddingLength: width } = config;
  const part = partBehind(config, index);
  if (parts === null || part === 0) return;
  builder.during({ isApart: false }, () => {
    addRows(builder, { x: columnsFrom(parts, (part - 1) * width), to: residual, width });
  });
}

/** Rows that go to the GPU with a step. */
export interface SentRows {
  /** Those of a step's n tokens. */
  send(ids: Int32Array, n: number): void;
}

/** Parts of given rows on their way to the GPU. */
class SentParts implements SentRows {
  readonly #gpu: Gpu;
  readonly #given: GivenTable;
  readonly #to: Rows;
  readonly #width: number;
  readonly #values: Float32Array<ArrayBuffer>;
  /** So many rows may be there of steps before. */
  #sent = 0;

  constructor(gpu: Gpu, { given, to, width }: { given: GivenTable; to: Rows; width: number }) {
    this.#gpu = gpu;
    this.#given = given;
    this.#to = to;
    this.#width = width;
    this.#values = new Float32Array(to.sizeBytes / 4);
  }

  /** Sends those of a step's n tokens, if it has any. */
  send(ids: Int32Array, n: number): void {
    const { stride, buffer } = this.#to;
    const rows = Math.max(n, this.#sent);
    let has = false;
    for (let t = 0; t < n; t++) if (ids[t] < 0) has = true;
    if (!has && this.#sent === 0) return;
    check(!has || n > 1, "a row with parts is no step by itself: checked at the door");
    const values = this.#values.fill(0, 0, rows * stride);
    for (let t = 0; t < n; t++) {
      for (let i = 0; i < stride && ids[t] < 0; i += this.#width) {
        this.#given.addPart(ids[t], 1 + i / this.#width, { to: values, at: t * stride + i });
      }
    }
    this.#gpu.device.queue.writeBuffer(buffer, 0, values, 0, rows * stride);
    this.#sent = has ? n : 0;
  }
}

/** What goes to the GPU with a step: rows of a table that is in the file, parts of given rows. */
export function sentWithSteps(
  { gpu, given, tokenRows, config: { embeddingLength: width } }: GpuRankInput,
  { plan, space, givenParts }: { plan: RankPlan; space: GpuSpace; givenParts: Rows | null },
): SentRows[] {
  const sent: SentRows[] = [];
  if (plan.tokenInputs !== null) {
    const table = new TokenTable(tokenRows!, plan.tokenInputs);
    sent.push(new TableRows(gpu, { table, to: space.inputRows, tokens: plan.chunkTokens }));
  }
  if (givenParts !== null && given !== undefined) {
    sent.push(new SentParts(gpu, { given, to: givenParts, width }));
  }
  return sent;
}
