/**
 * Which experts the tokens of a step use: a buffer that `chooseExperts` or `writeRoutes` fills and
 * products of experts read. A route is a token's way to one of its experts. u32 words, one part
 * behind the other: expert and weight (f32) of each route, [tokens, used, 2]; numbers of routes by
 * expert, [tokens · used]; tiles of neighbours among these, of 32 and of 128, [tiles, 3].
 */
import { type Expr, N } from "../src/shapes/mod.ts";
import type { Gpu } from "./device.ts";

/** Routes of one expert that a workgroup takes together, by its shader. */
const TILE_SIZES = [32, 128] as const;
export type TileSize = (typeof TILE_SIZES)[number];

/** Words of a tile: its expert, its first place in the order, and where it ends. */
const TILE_WORDS = 3;

export interface Routes {
  readonly buffer: GPUBuffer;
  readonly experts: number;
  /** How many of them a token uses. */
  readonly used: number;
  /** Words where parts begin. */
  readonly order: number;
  readonly tiles: Readonly<Record<TileSize, number>>;
}

/**
 * Puts the choice of n tokens there that was made elsewhere, u32 [n, used, 2] as above; then
 * `sortRoutes`.
 */
export function writeRoutes(gpu: Gpu, { buffer }: Routes, words: Uint32Array): void {
  gpu.write(buffer, 0, words);
}

/** Of steps of up to `maxTokens`. @throws {GpuOutOfMemoryError} when the GPU has no room for it. */
export async function createRoutes(
  gpu: Gpu,
  { experts, used, maxTokens }: { experts: number; used: number; maxTokens: number },
): Promise<Routes> {
  const order = 2 * maxTokens * used;
  const [size, wideSize] = TILE_SIZES;
  const tiles = order + maxTokens * used;
  const wideTiles = tiles + TILE_WORDS * mostTiles({ experts, used }, size, maxTokens);
  const end = wideTiles + TILE_WORDS * mostTiles({ experts, used }, wideSize, maxTokens);
  const buffer = await gpu.createBuffer("routes", 4 * end);
  return { buffer, experts, used, order, tiles: { [size]: tiles, [wideSize]: wideTiles } };
}

type Counts = Pick<Routes, "experts" | "used">;

/** The most tiles that a step of N tokens can have: every expert may begin one. */
export function tilesOf({ experts, used }: Counts, size: TileSize): Expr {
  return N.times(used).ceilDiv(size).plus(experts);
}

function mostTiles(counts: Counts, size: TileSize, tokens: number): number {
  return tilesOf(counts, size).evaluate({ N: tokens, P: 0, B: 1 });
}
