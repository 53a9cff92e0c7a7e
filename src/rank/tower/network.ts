/**
 * A network of convolutions that makes rows of a picture, on one rank. It has some of the channels
 * between a block's matrices, and some heads; planes of all channels are sums over ranks, made once
 * a block, and a norm of such channels is a sum of squares more. Knows nothing of what reads rows.
 */
import type { Control } from "../../memory/control.ts";
import { FLOAT_ROW_PAD_WEIGHTS } from "../../memory/row_layout.ts";
import {
  addsInput,
  type AskingBlock,
  type InvertedBlock,
  keptLength,
  type NetworkConfig,
} from "../../model/network.ts";
import { floats } from "../bound/arena_views.ts";
import { type Activations, matrixOf, project } from "../bound/matrix.ts";
import { aloneKernel } from "../neurons/neurons.ts";
import {
  type AskingPlan,
  type DepthwisePlan,
  type InvertedPlan,
  type NetworkPlan,
  placeStride,
  WINDOW_ROWS,
} from "../plan/plan_network.ts";
import type { MatrixPlan, RankPlan, VectorPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";
import type { StepState } from "../step/step_state.ts";
import {
  convolveEach,
  enlargeBeside,
  layPixels,
  layWindow,
  meansOf,
  type Plane,
} from "./planes_of_places.ts";
import { SharedHeads } from "./shared_heads.ts";

export interface NetworkInput {
  readonly control: Control;
  readonly config: NetworkConfig;
  readonly plan: NetworkPlan;
  readonly plans: readonly RankPlan[];
  /** [rank][arena] */
  readonly all: readonly (readonly WebAssembly.Memory[])[];
}

/** Numbers of a row of the first convolution's windows. */
const [PIXEL_SIDE, COLOURS] = [3, 3];

export class Network {
  readonly #state: StepState;
  readonly #in: NetworkInput;
  readonly #memory: WebAssembly.Memory;
  /** Of planes of all channels: which is read now. */
  #turn = 0;
  /** Which of the sums are written next. */
  #sumTurn = 0;
  readonly #planes: readonly Region[];
  readonly #regions: Readonly<Record<"kept" | "hidden" | "mid" | "down" | "windows", Region>>;
  readonly #factors: Region;
  /** Of all ranks: sums in turns, each [places] of squares, then [places, channels]. */
  readonly #sums: readonly Float32Array[];
  readonly #sumsAt: number;
  /** The leader's, which lie in its arena. */
  readonly #patches: Float32Array;
  readonly #heads: SharedHeads;
  /** Kernels tap by tap, by where they lie. */
  readonly #taps = new Map<number, Float32Array>();

  constructor(state: StepState, input: NetworkInput) {
    const { plan: { rankIndex, chunkTokens, workspaces: [own] }, config } = state;
    const { plan: { places }, plans, all } = input;
    const memory = all[rankIndex][0];
    const at = own.convolved;
    const region = (place: number, count: number): Region => (
      { at: at + place, floats: floats(memory, at + place, count + FLOAT_ROW_PAD_WEIGHTS) }
    );
    this.#state = state;
    this.#in = input;
    this.#memory = memory;
    const { floats: lengths } = places;
    this.#planes = places.planes.map((place, i) => region(place, lengths.planes[i]));
    this.#regions = {
      kept: region(places.kept, lengths.kept),
      hidden: region(places.hidden, lengths.hidden),
      mid: region(places.mid, lengths.mid),
      down: region(places.down, lengths.down),
      windows: region(places.windows, lengths.windows),
    };
    this.#factors = region(places.factors, lengths.factors);
    const sumsOf = ({ workspaces: [{ projector }] }: RankPlan) => projector!.windowSums;
    this.#sumsAt = sumsOf(plans[rankIndex]);
    const count = 2 * (places.squares + places.sums);
    this.#sums = plans.map((plan, rank) => floats(all[rank][0], sumsOf(plan), count));
    const length = chunkTokens * config.patches!.length;
    this.#patches = floats(all[0][0], plans[0].workspaces[0].patches, length);
    this.#heads = new SharedHeads(state, { memory, places });
  }

  /**
   * Rows of the leader's patches; to: f32 [rows, strides.embedding], or null: nobody wants them.
   * @returns false when the leader aborted the step.
   */
  run(to: number | null): boolean {
    const { control, config: { blocks, kept: keptBlock, fusion }, plan } = this.#in;
    // Its patches are there.
    if (!control.join()) return false;
    let x = this.#stem();
    let kept = x;
    for (const [i, block] of blocks.entries()) {
      const next = block.kind === "inverted"
        ? this.#invert(x, block, plan.blocks[i] as InvertedPlan)
        : this.#ask(x, block, plan.blocks[i] as AskingPlan);
      if (next === null) return false;
      x = next;
      if (i === keptBlock) kept = this.#keep(x);
    }
    const both = this.#planeOf(this.#other, kept.side, fusion.channels);
    enlargeBeside(kept, x, both);
    this.#turn = 1 - this.#turn;
    const fused = this.#invert(both, fusion, plan.fusion);
    if (fused === null) return false;
    if (to !== null) this.#leave(fused, to);
    return true;
  }

  get #other(): Region {
    return this.#planes[1 - this.#turn];
  }

  /** A plane in a region; what is behind each place's channels is zeros. */
  #planeOf({ at, floats }: Region, side: number, channels: number): Plane {
    const stride = placeStride(channels);
    if (stride > channels) floats.fill(0, 0, side * side * stride);
    return { at, floats, side, channels, stride };
  }

  /** gelu(norm(stem · windows of pixels)). */
  #stem(): Plane {
    const { config: { side, rowsSide, channels }, plan: { stem, stemNorm } } = this.#in;
    this.#turn = 0;
    const plane = this.#planeOf(this.#planes[0], keptLength(side, 2), channels);
    const columns = COLOURS * PIXEL_SIDE ** 2;
    this.#convolve(stem, plane, columns, (place, at) => {
      layPixels(
        { patches: this.#patches, side, rowsSide },
        place,
        this.#regions.windows.floats,
        at,
      );
    });
    this.#normalize(plane, stemNorm.weight!);
    this.#bend(plane);
    return plane;
  }

  /** plane = matrix · windows, some places at a time. */
  #convolve(
    matrix: MatrixPlan,
    plane: Plane,
    columns: number,
    lay: (place: number, at: number) => void,
  ): void {
    const { kernels } = this.#state;
    const { windows } = this.#regions;
    const bound = matrixOf(matrix);
    const x = { f32: windows.at, stride: columns, q8: 0 };
    const places = plane.side ** 2;
    for (let place = 0; place < places; place += WINDOW_ROWS) {
      const count = Math.min(WINDOW_ROWS, places - place);
      for (let i = 0; i < count; i++) lay(place + i, i * columns);
      const end = count * columns;
      windows.floats.fill(0, end, end + FLOAT_ROW_PAD_WEIGHTS);
      project(kernels, bound, x, count, plane.at + 4 * place * plane.stride, plane.stride);
    }
  }

  /** Null: the leader aborted the step. */
  #invert(x: Plane, block: InvertedBlock, plan: InvertedPlan): Plane | null {
    const { hidden: between, side, startSide, midSide, stride, outputs } = block;
    const { hidden, mid } = this.#regions;
    const own = lengthOf(plan.first.rows);
    const from = plan.start
      ? this.#depthwise(x, this.#other, plan.start, { side: startSide, stride: 1 })
      : x;
    if (plan.start) this.#normalize(from, plan.start.norm.weight!);
    const isWhole = side === 1;
    const to = this.#planeOf(hidden, isWhole ? x.side : keptLength(x.side, stride), own);
    if (own > 0 && isWhole) this.#project(plan.first, from, to);
    else if (own > 0) {
      const { floats } = this.#regions.windows;
      this.#convolve(
        plan.first,
        to,
        from.channels * side * side,
        (place, at) => layWindow(from, { side, stride, kept: to.side, place }, floats, at),
      );
    }
    if (!this.#normalizeOwn(to, between, plan.firstNorm.weight!)) return null;
    this.#bend(to);
    let read = to;
    if (plan.mid) {
      read = this.#depthwise(to, mid, plan.mid, { side: midSide, stride });
      if (!this.#normalizeOwn(read, between, plan.mid.norm.weight!)) return null;
      this.#bend(read);
    }
    const out = this.#sum(plan.second, read, outputs);
    if (out === null) return null;
    this.#normalize(out, plan.secondNorm.weight!);
    return this.#end(x, out, plan.gains, addsInput(block));
  }

  /** Null: the leader aborted the step. */
  #ask(x: Plane, { channels, headDim, keySide }: AskingBlock, plan: AskingPlan): Plane | null {
    const { down, hidden, mid } = this.#regions;
    const read = this.#planeOf(this.#other, x.side, channels);
    this.#normalize(x, plan.norm.weight!, read);
    const width = lengthOf(plan.query.rows);
    const mixed = this.#planeOf(mid, x.side, width);
    if (width > 0) {
      const queries = { ...read, at: hidden.at, channels: width, stride: width };
      this.#project(plan.query, read, queries);
      let keys = read;
      for (const [what, of] of [["keys", plan.key], ["values", plan.value]] as const) {
        if (of.down) {
          keys = this.#depthwise(read, down, of.down, { side: keySide, stride: 2 });
          this.#normalize(keys, of.down.norm.weight!);
        }
        this.#heads.take(what, of.matrix, keys, headDim);
      }
      this.#heads.mix(queries, mixed, { count: keys.side ** 2, headDim });
    }
    const out = this.#sum(plan.output, mixed, channels);
    return out && this.#end(x, out, plan.gains, true);
  }

  /** x + gains ⊙ out, or gains ⊙ out, which is read from then on. */
  #end(x: Plane, out: Plane, gains: VectorPlan | null, adds: boolean): Plane {
    const { kernels } = this.#state;
    const { at, stride, side, channels } = out;
    const places = side * side;
    if (gains !== null) kernels.mul_weight_f32(at, stride, gains.offsetBytes, places, channels);
    if (!adds) {
      this.#turn = 1 - this.#turn;
      return out;
    }
    kernels.add_f32(x.at, stride, at, stride, places, channels);
    return x;
  }

  #project(matrix: MatrixPlan, from: Plane, to: Plane): void {
    const { at: f32, stride, side } = from;
    const x: Activations = { f32, stride, q8: 0 };
    project(this.#state.kernels, matrixOf(matrix), x, side * side, to.at, to.stride);
  }

  #bend({ at, stride, side, channels }: Plane): void {
    if (channels === 0) return;
    const { kernels } = this.#state;
    aloneKernel(kernels, "gelu")(at, stride, at, stride, side * side, channels);
  }

  /** to = norm(from), of all channels; left out: in its place. */
  #normalize(from: Plane, { offsetBytes }: VectorPlan, to = from): void {
    const { kernels } = this.#state;
    const { side, channels } = from, { epsilon } = this.#in.config;
    kernels.rms_norm_f32(
      ...[from.at, from.stride, offsetBytes, to.at, to.stride, side * side, channels] as const,
      epsilon,
    );
  }

  /**
   * The same of own channels of `all`, which ranks know together.
   * @returns false when the leader aborted the step.
   */
  #normalizeOwn(
    { at, stride, side, channels }: Plane,
    all: number,
    { offsetBytes }: VectorPlan,
  ): boolean {
    const { kernels, plan: { rankIndex } } = this.#state;
    const { control, config: { epsilon } } = this.#in;
    const places = side * side, first = this.#firstSum;
    if (channels > 0) {
      kernels.row_squares_f32(at, stride, places, channels, this.#sumsAt + 4 * first);
    } else this.#sums[rankIndex].fill(0, first, first + places);
    if (!control.join()) return false;
    const { at: factorsAt, floats: factors } = this.#factors;
    for (let place = 0; place < places; place++) {
      let sum = 0;
      for (const squares of this.#sums) sum += squares[first + place];
      factors[place] = 1 / Math.sqrt(sum / all + epsilon);
    }
    this.#sumTurn = 1 - this.#sumTurn;
    if (channels === 0) return true;
    kernels.mul_weight_f32(at, stride, offsetBytes, places, channels);
    kernels.scale_rows_f32(at, stride, factorsAt, places, channels);
    return true;
  }

  /** Where sums of squares begin that are written next. */
  get #firstSum(): number {
    const { squares, sums } = this.#in.plan.places;
    return this.#sumTurn * (squares + sums);
  }

  /** What all ranks' columns of a matrix give: the same bits on all of them; null: aborted. */
  #sum(matrix: MatrixPlan, from: Plane, channels: number): Plane | null {
    const { rankIndex } = this.#state.plan;
    const { plan: { places: { squares } }, control } = this.#in;
    const out = this.#planeOf(this.#other, from.side, channels);
    const first = this.#firstSum + squares, count = out.side ** 2 * out.stride;
    const own = { ...out, at: this.#sumsAt + 4 * first };
    if (out.stride > channels || from.channels === 0) {
      this.#sums[rankIndex].fill(0, first, first + count);
    }
    if (from.channels > 0) this.#project(matrix, from, own);
    if (!control.join()) return null;
    this.#sums.forEach((sums, rank) => {
      if (rank === 0) out.floats.set(sums.subarray(first, first + count));
      else this.#addRows(sums, first, out);
    });
    // Others may read these sums until they come to the next join.
    this.#sumTurn = 1 - this.#sumTurn;
    return out;
  }

  /** out += another rank's, some places at a time: kernels reach this rank's memory only. */
  #addRows(sums: Float32Array, first: number, { at, stride, side }: Plane): void {
    const { kernels } = this.#state;
    const { windows } = this.#regions;
    const most = Math.floor((windows.floats.length - FLOAT_ROW_PAD_WEIGHTS) / stride);
    for (let place = 0; place < side * side; place += most) {
      const count = Math.min(most, side * side - place);
      const from = first + place * stride;
      windows.floats.set(sums.subarray(from, from + count * stride));
      kernels.add_f32(at + 4 * place * stride, stride, windows.at, stride, count, stride);
    }
  }

  /** Each channel convolved by itself. */
  #depthwise(
    from: Plane,
    region: Region,
    { kernels }: DepthwisePlan,
    by: { readonly side: number; readonly stride: number },
  ): Plane {
    const to = this.#planeOf(region, keptLength(from.side, by.stride), from.channels);
    convolveEach(from, to, { ...by, taps: this.#tapsOf(kernels, by.side ** 2) });
    return to;
  }

  /** [taps, channels], of what lies channel by channel. */
  #tapsOf({ offsetBytes, range }: VectorPlan, taps: number): Float32Array {
    const known = this.#taps.get(offsetBytes);
    if (known !== undefined) return known;
    const values = floats(this.#memory, offsetBytes, lengthOf(range));
    const channels = values.length / taps;
    const laid = Float32Array.from(
      values,
      (_, i) => values[(i % channels) * taps + Math.floor(i / channels)],
    );
    this.#taps.set(offsetBytes, laid);
    return laid;
  }

  #keep({ floats: from, side, channels, stride }: Plane): Plane {
    const { kept: { at, floats } } = this.#regions;
    floats.set(from.subarray(0, side * side * stride));
    return { at, floats, side, channels, stride };
  }

  /** norm(means of squares). */
  #leave(fused: Plane, to: number): void {
    const { config: { rowsSide }, plan: { lastNorm } } = this.#in;
    const { plan: { strides: { embedding: stride } } } = this.#state;
    const means = this.#planeOf(this.#other, rowsSide, fused.channels);
    meansOf(fused, means);
    this.#normalize(means, lastNorm.weight!, { ...means, at: to, stride });
  }
}

/** A part of the workspace. */
interface Region {
  readonly at: number;
  readonly floats: Float32Array;
}
