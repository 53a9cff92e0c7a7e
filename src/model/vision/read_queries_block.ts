/** A block of queries that ask one another and windows: names of tensors, each checked. */
import type { AskingTensors, WindowQueriesBlock } from "../window_queries.ts";
import { biasedMatrix, readNorm, type TowerReader } from "./read_tower.ts";

/** Of BERT's norms, whose layers these are; no file says it. */
export const QUERIES_EPSILON = 1e-12;

/** at: what names of its tensors begin with, the dot at its end included. */
export function readQueriesBlock(reader: TowerReader, at: string): WindowQueriesBlock {
  const { checker, width } = reader;
  const neurons = checker.rowCount(`${at}ffn_up.weight`) ?? 1;
  return {
    own: readAsking(reader, `${at}self_attn_`),
    window: readAsking(reader, `${at}cross_attn_`),
    first: biasedMatrix(reader, `${at}ffn_up`, { rows: neurons, columns: width }),
    second: biasedMatrix(reader, `${at}ffn_down`, { rows: width, columns: neurons }),
    norm: readNorm(reader, `${at}ffn_norm`, width),
  };
}

function readAsking(reader: TowerReader, at: string): AskingTensors {
  const { width } = reader;
  const square = (name: string) => biasedMatrix(reader, at + name, { rows: width, columns: width });
  return {
    ...{ query: square("q"), key: square("k"), value: square("v"), output: square("out") },
    norm: readNorm(reader, `${at}norm`, width),
  };
}
