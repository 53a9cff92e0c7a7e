/** The resampler of MiniCPM-V's projectors: its tensors, checked, and what its version says. */
import { UnsupportedModelError } from "../../base/errors.ts";
import { formatError, Hyperparameters } from "../read/hyperparameters.ts";
import type { ResamplerConfig, ResamplerTensors } from "../resampler_types.ts";
import { biasedMatrix, readNorm, type TowerReader } from "./read_tower.ts";

const QUERIES = "resampler.query";
/** Of all files: none says otherwise. */
const HEAD_DIM = 128;
/** More than any file has. */
const QUERIES_MAX = 1024;

/** Of MiniCPM-V 2.5, which files without a version are of, and of later models. */
const OLD_VERSION = 2;
const VERSIONS: readonly number[] = [OLD_VERSION, 3, 4, 5, 6, 100_045];

/** @throws {ModelFormatError} when a tensor is missing or of another shape. */
export function readResampler(
  reader: TowerReader,
  epsilon: number,
): { readonly config: ResamplerConfig; readonly tensors: ResamplerTensors } {
  const { checker, file, width: d } = reader;
  const width = checker.rowCount("resampler.kv.weight") ?? 1;
  if (width % HEAD_DIM !== 0) {
    throw formatError(
      file,
      `Cannot use tensor "resampler.kv.weight": it has ${width} rows, which are no heads of ` +
        `${HEAD_DIM}: get the file again or convert the model again`,
    );
  }
  const found = file.tensors.get(QUERIES)?.dims[1] ?? 1;
  const queryCount = new Hyperparameters(file, "clip").integer("minicpmv_query_num", {
    ...{ min: 1, max: QUERIES_MAX, absent: Math.min(found, QUERIES_MAX) },
  });
  const square = { rows: width, columns: width };
  const tensors = {
    queries: checker.vector(QUERIES, width, queryCount),
    queryNorm: readNorm(reader, "resampler.ln_q", width),
    input: biasedMatrix(reader, "resampler.kv", { rows: width, columns: d }),
    inputNorm: readNorm(reader, "resampler.ln_kv", width),
    query: biasedMatrix(reader, "resampler.attn.q", square),
    key: biasedMatrix(reader, "resampler.attn.k", square),
    value: biasedMatrix(reader, "resampler.attn.v", square),
    output: biasedMatrix(reader, "resampler.attn.out", square),
  };
  return { config: { queryCount, width, headDim: HEAD_DIM, epsilon }, tensors };
}

/**
 * Whether marks are MiniCPM-V 2.5's.
 * @throws {UnsupportedModelError} when nobody knows how that version's prompts are.
 */
export function hasOldMarks({ file }: TowerReader): boolean {
  const version = new Hyperparameters(file, "clip").integer("minicpmv_version", {
    ...{ min: 0, absent: 0 },
  }) || OLD_VERSION;
  if (VERSIONS.includes(version)) return version === OLD_VERSION;
  throw new UnsupportedModelError(
    `Cannot use this projector: it is of version ${version} of MiniCPM-V, and this version runs ` +
      `${VERSIONS.join(", ")}: use another model, or a newer Ganglion`,
  );
}
