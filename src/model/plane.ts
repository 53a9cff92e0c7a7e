/** Sizes of a spectrogram as a plane that convolutions make smaller. Data and counts only. */

/** Frames and bands that a convolution's kernel sees. */
export const KERNEL_SIDE = 3;
/** How many convolutions there are. */
const PLANE_CONVOLUTIONS = 3;

/**
 * A piece of a spectrogram, [frames, bands], goes through three convolutions of its own, each with
 * gelu (by the error function) behind it and every other place of either axis coming out; what is
 * left of a time, channel by channel, is multiplied into a row.
 */
export interface PlaneConfig {
  /** Of a piece; what a shorter one lacks are zeros. */
  readonly frames: number;
  /** Rows of the tower that become of it: its frames, halved three times. */
  readonly rows: number;
  readonly bands: number;
  readonly channels: number;
}

/** Places of an axis of which every other one comes out, the first one among them. */
export function halved(places: number): number {
  return Math.ceil(places / 2);
}

/** What is left of so many after all convolutions. */
export function halvedThrice(places: number): number {
  let left = places;
  for (let i = 0; i < PLANE_CONVOLUTIONS; i++) left = halved(left);
  return left;
}

/** Frames that each row of a piece brings to a step; behind the last one's own nothing is read. */
export function framesOfRow({ frames, rows }: Pick<PlaneConfig, "frames" | "rows">): number {
  return Math.ceil(frames / rows);
}
