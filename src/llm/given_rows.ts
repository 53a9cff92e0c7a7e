/** Rows of a prompt that come from no embedding table: those of images. Data only. */

/** Rows that follow one another in a prompt; ids below 0 stand for them. */
export interface GivenRows {
  /** Below 0: row k has id `firstId` - k. One id never stands for two rows that differ. */
  readonly firstId: number;
  /** [count, d]. */
  readonly values: Float32Array;
  /** They attend to each other both ways, and are computed in one step. */
  readonly seesAll: boolean;
  /** Where they have places of their own in two dimensions (M-RoPE); null: as text has them. */
  readonly grid: { readonly rows: number; readonly columns: number } | null;
}
