/**
 * Squares of places of so many channels each, in memory: windows of them side by side, channels
 * convolved by themselves, planes beside one another, means. Loops alone; knows no weights' files
 * and no ranks.
 */
import { zerosBefore } from "../../model/network.ts";

/** Places line by line, `stride` floats apart, at address `at`. */
export interface Plane {
  readonly at: number;
  readonly floats: Float32Array;
  readonly side: number;
  readonly channels: number;
  readonly stride: number;
}

/** How a kernel goes over a plane. */
interface Walk {
  readonly side: number;
  readonly stride: number;
}

/** What a place of `kept` on a side sees, channel by channel; zeros are around the plane. */
export function layWindow(
  { floats, side: length, channels, stride: step }: Plane,
  { side, stride, kept, place }: Walk & { readonly kept: number; readonly place: number },
  to: Float32Array,
  at: number,
): void {
  const taps = side * side, before = zerosBefore(length, side, stride);
  const top = Math.floor(place / kept) * stride - before, left = place % kept * stride - before;
  for (let tap = 0; tap < taps; tap++) {
    const y = top + Math.floor(tap / side), x = left + tap % side;
    const isInside = y >= 0 && x >= 0 && y < length && x < length;
    const from = (y * length + x) * step;
    for (let i = 0, out = at + tap; i < channels; i++, out += taps) {
      to[out] = isInside ? floats[from + i] : 0;
    }
  }
}

const [PIXEL_SIDE, PIXEL_STRIDE, COLOURS] = [3, 2, 3];

/** The same of a picture's pixels, 3 · 3 around every other one, which lie patch by patch. */
export function layPixels(
  { patches, side, rowsSide }: {
    /** [rowsSide², 3, size, size] */
    readonly patches: Float32Array;
    readonly side: number;
    readonly rowsSide: number;
  },
  place: number,
  to: Float32Array,
  at: number,
): void {
  const size = side / rowsSide, kept = Math.ceil(side / PIXEL_STRIDE);
  const before = zerosBefore(side, PIXEL_SIDE, PIXEL_STRIDE);
  const top = Math.floor(place / kept) * PIXEL_STRIDE - before;
  const left = place % kept * PIXEL_STRIDE - before;
  let out = at;
  for (let colour = 0; colour < COLOURS; colour++) {
    for (let dy = 0; dy < PIXEL_SIDE; dy++) {
      const y = top + dy, row = Math.floor(y / size);
      for (let dx = 0; dx < PIXEL_SIDE; dx++, out++) {
        const x = left + dx, column = Math.floor(x / size);
        const isInside = y >= 0 && x >= 0 && y < side && x < side;
        const patch = (row * rowsSide + column) * COLOURS + colour;
        to[out] = isInside
          ? patches[(patch * size + y - row * size) * size + x - column * size]
          : 0;
      }
    }
  }
}

/** to = each channel of a plane convolved by itself; taps: [side², channels]. */
export function convolveEach(
  { floats: x, side: length, channels, stride: step }: Plane,
  { floats: out, side: kept, stride: outStep }: Plane,
  { side, stride, taps }: Walk & { readonly taps: Float32Array },
): void {
  const before = zerosBefore(length, side, stride);
  for (let row = 0, at = 0; row < kept; row++) {
    for (let column = 0; column < kept; column++, at += outStep) {
      out.fill(0, at, at + channels);
      const left = column * stride - before;
      const start = Math.max(0, -left), end = Math.min(side, length - left);
      for (let dy = 0; dy < side; dy++) {
        const y = row * stride + dy - before;
        if (y < 0 || y >= length) continue;
        let from = (y * length + left + start) * step, tap = (dy * side + start) * channels;
        let dx = start;
        for (; dx + 3 <= end; dx += 3, from += 3 * step, tap += 3 * channels) {
          addThree(out, at, { x, from, step, taps, tap, channels });
        }
        for (; dx < end; dx++, from += step, tap += channels) {
          for (let i = 0; i < channels; i++) out[at + i] += taps[tap + i] * x[from + i];
        }
      }
    }
  }
}

/** Three places side by side at once: what they are added to is read and written once. */
function addThree(
  out: Float32Array,
  at: number,
  { x, from, step, taps, tap, channels }: {
    readonly x: Float32Array;
    readonly from: number;
    readonly step: number;
    readonly taps: Float32Array;
    readonly tap: number;
    readonly channels: number;
  },
): void {
  const second = from + step, third = second + step;
  const ofSecond = tap + channels, ofThird = ofSecond + channels;
  for (let i = 0; i < channels; i++) {
    out[at + i] += taps[tap + i] * x[from + i] + taps[ofSecond + i] * x[second + i] +
      taps[ofThird + i] * x[third + i];
  }
}

/** to = channels of both: a place of the smaller plane is a square of the larger one's. */
export function enlargeBeside(large: Plane, small: Plane, to: Plane): void {
  const { side } = large, times = side / small.side;
  for (let place = 0, at = 0; place < side * side; place++, at += to.stride) {
    const own = place * large.stride;
    to.floats.set(large.floats.subarray(own, own + large.channels), at);
    const row = Math.floor(Math.floor(place / side) / times);
    const from = (row * small.side + Math.floor(place % side / times)) * small.stride;
    to.floats.set(small.floats.subarray(from, from + small.channels), at + large.channels);
  }
}

/** to = means of squares of places. */
export function meansOf(from: Plane, to: Plane): void {
  const times = from.side / to.side, share = 1 / times ** 2;
  for (let place = 0, at = 0; place < to.side ** 2; place++, at += to.stride) {
    const top = Math.floor(place / to.side) * times, left = place % to.side * times;
    for (let i = 0; i < to.channels; i++) {
      let sum = 0;
      for (let tap = 0; tap < times * times; tap++) {
        const y = top + Math.floor(tap / times), x = left + tap % times;
        sum += from.floats[(y * from.side + x) * from.stride + i];
      }
      to.floats[at + i] = share * sum;
    }
  }
}
