/**
 * Tensor names of what makes something else of a text's vector: other vectors, or a score that says
 * how well a text answers a question. Knows names and shapes; reads no weights.
 */
import type { Family } from "../family.ts";
import type { TensorChecker } from "./tensor_checker.ts";
import type { MatrixTensor, ModelConfig, RankerTensors, TextHeadTensors } from "../types.ts";

/** Behind one another (sentence-transformers' dense modules). */
const PROJECTIONS = ["dense_2", "dense_3"];
/** More rows than any classifier or projection has; keeps a corrupt shape from becoming work. */
const ROWS_MAX = 65536;

/**
 * Null where the file has none of it.
 * @throws {ModelFormatError | UnsupportedModelError} as `readTensors` does.
 */
export function textHeadTensors(
  checker: TensorChecker,
  config: ModelConfig,
  family: Family,
): TextHeadTensors | null {
  const projections: MatrixTensor[] = [];
  let columns = config.embeddingLength;
  for (const name of PROJECTIONS) {
    if (!checker.has(`${name}.weight`)) continue;
    const matrix = biased(checker, name, columns);
    projections.push(matrix);
    columns = matrix.rows;
  }
  const ranker = rankerTensors(checker, config, family);
  return projections.length === 0 && ranker === null ? null : { projections, ranker };
}

function rankerTensors(
  checker: TensorChecker,
  { embeddingLength }: ModelConfig,
  { ranks }: Family,
): RankerTensors | null {
  const [hasDense, hasOutput] = ["cls", "cls.output"].map((name) => checker.has(`${name}.weight`));
  if (!hasDense && !hasOutput) return null;
  const dense = hasDense ? biased(checker, "cls", embeddingLength) : null;
  const width = dense?.rows ?? embeddingLength;
  return {
    ...ranks,
    dense,
    norm: checker.has("cls.norm.weight") ? checker.vector("cls.norm.weight", width) : null,
    output: hasOutput ? biased(checker, "cls.output", width) : null,
  };
}

/** A matrix with as many rows as the file says, and its bias if it has one. */
function biased(checker: TensorChecker, name: string, columns: number): MatrixTensor {
  const rows = Math.min(checker.rowCount(`${name}.weight`) ?? 1, ROWS_MAX);
  return {
    ...checker.matrix(`${name}.weight`, { rows, columns }),
    bias: checker.has(`${name}.bias`) ? checker.vector(`${name}.bias`, rows) : null,
  };
}
