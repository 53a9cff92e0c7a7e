import type { ImageConfig, TowerInput } from "../model/vision_types.ts";
export interface PreparedImage {
  readonly tiles: readonly TowerInput[];
  readonly seesAll: boolean;
  readonly layout: readonly (
    | { readonly text: string }
    | { readonly tile: number; readonly first: number; readonly count: number; readonly grid: { rows: number; columns: number } | null }
    | { readonly tensor: string; readonly first: number; readonly count: number; readonly grid: null }
  )[];
}
export class ImagePreparer {
  prepare(_file: Uint8Array, _config: ImageConfig, _tables: { positions: Float32Array | null; classTokens: Float32Array | null }, _signal?: AbortSignal): Promise<PreparedImage> { throw new Error("stub"); }
  close(): void {}
}
