/** The projector of a tower: what it is and its tensors, each checked. Knows no layers. */
import { formatError, type Hyperparameters } from "../read/hyperparameters.ts";
import type { GridConvolution, GridConvolutionTensors } from "../grid_convolutions.ts";
import { rowsOf } from "../read/layer_reader.ts";
import type { MatrixTensor, NormTensors } from "../types.ts";
import type {
  DeepProjectorTensors,
  ProjectorConfig,
  ProjectorTensors,
  StageConfig,
  StageTensors,
} from "../vision_types.ts";
import { readFold } from "./read_fold.ts";
import { askedWindows } from "./read_layer_queries.ts";
import { readResampler } from "./read_resampler.ts";
import { biasedMatrix, readNorm, type TowerReader } from "./read_tower.ts";
import type { ProjectorStage, VisionKind } from "./vision_kind.ts";

const CONVOLUTION: GridConvolution = { side: 3, stride: 2, epsilon: null };
/** A side of a block of patches: more than any file has. */
const SIDE_MAX = 64;

/** Patches on a side of a block that becomes one row. */
export function readMergeSide(keys: Hyperparameters, reader: TowerReader): number {
  if (reader.kind.asksLayers) return askedWindows(keys).blockSide;
  return reader.kind.hasBlocksAsPatches ? 1 : readBlockSide(keys, reader);
}

/** What the file says of it. */
export function readBlockSide(keys: Hyperparameters, { kind: { side } }: TowerReader): number {
  if (side === null) return 1;
  return keys.integer(side.key, { min: 1, max: SIDE_MAX, absent: side.absent });
}

/** What reading a projector takes beside its tower. */
export interface ProjectorOf {
  readonly mergeSide: number;
  /** Rows are folded behind that layer; null: behind none. */
  readonly foldedBehind?: number | null;
  /** Rows side by side, where they are no blocks of an image. */
  readonly stack?: number;
  /** The lower half of the first matrix is its gate. */
  readonly isHalved?: boolean;
  readonly blockCount: number;
  /** Of the tower. */
  readonly epsilon: number;
  readonly activation: ProjectorConfig["activation"];
}

/** What is behind the tower's last layer. */
export function readProjector(
  reader: TowerReader,
  of: ProjectorOf,
): { readonly config: ProjectorConfig; readonly tensors: ProjectorTensors } {
  const { mergeSide, foldedBehind = null, stack = 1, isHalved = false, epsilon, blockCount } = of;
  const { kind: { merge, projector, lastNorm }, checker, width } = reader;
  const mergedRows = mergeSide * mergeSide * stack;
  const resampler = reader.kind.isResampled ? readResampler(reader, epsilon) : null;
  const rowStages = readStages(reader, {
    ...{ stages: projector.rowStages ?? [], merged: width, mergeSide: 1, epsilon },
  });
  const rowWidth = rowStages.at(-1)?.tensors.matrix.rows ?? width;
  const convolutions = readConvolutions(reader, projector.convolutions ?? []);
  const merged = resampler?.config.width ?? convolutions.at(-1)?.matrix.rows ??
    (merge === "mean" ? rowWidth : rowWidth * mergedRows);
  const { norm, activation, isFirstTransposed } = projector;
  const stages = readStages(reader, { stages: projector.stages, merged, mergeSide, epsilon });
  const columns = stages.at(-1)?.tensors.matrix.rows ?? merged;
  const hasNorm = norm !== null && !(norm.isOptional && !checker.has(`${norm.tensor}.weight`));
  const whole = isFirstTransposed
    ? transposedMatrix(reader, projector.first, columns)
    : matrixOf(reader, projector.first, { rows: rowCount(reader, projector.first), columns });
  const half = Math.floor(whole.rows / 2);
  const first = isHalved ? rowsOf(whole, 0, half) : whole;
  const gate = isHalved
    ? rowsOf(whole, half, half)
    : projector.gate === undefined
    ? null
    : matrixOf(reader, projector.gate, { rows: first.rows, columns });
  const second = projector.second === null ? null : matrixOf(reader, projector.second, {
    rows: rowCount(reader, projector.second),
    columns: first.rows,
  });
  const rowLength = second?.rows ?? (isFirstTransposed ? first.columns : first.rows);
  const standard = projector.isStandardized ? readStandard(reader) : null;
  const deep = readDeep(reader, { blockCount, rowLength, merged });
  const fold = foldedBehind === null ? null : readFold(reader);
  return {
    config: {
      ...!checker.has(`${lastNorm}.weight`) && { lacksLastNorm: true },
      ...resampler !== null && { resampler: resampler.config },
      ...fold !== null && { fold: { behind: foldedBehind!, rows: fold.rows } },
      ...convolutions.length > 0 && { convolutions: convolutions.map(() => CONVOLUTION) },
      ...projector.channels && { convolvesChannels: true },
      ...{ mergedRows: mergedRows * convolvedSide(projector) ** 2, merge },
      ...projector.isStandardized && { mergedScale: Math.sqrt(width) },
      norm: hasNorm ? { of: norm.of, kind: norm.kind, epsilon: norm.epsilon ?? epsilon } : null,
      ...rowStages.length > 0 && { rowStages: rowStages.map(({ config }) => config) },
      ...stages.length > 0 && { stages: stages.map(({ config }) => config) },
      ...projector.frame && { frameEpsilon: epsilon },
      activation: activation === "own" ? of.activation : activation,
      ...deep.length > 0 && { deepLayers: deep.map(({ layer }) => layer) },
      outputLength: rowLength * (1 + deep.length),
    },
    tensors: {
      norm: hasNorm ? projectorNorm(reader, norm.of === "rows" ? width : merged) : null,
      ...resampler !== null && { resampler: resampler.tensors },
      ...fold !== null && { fold: fold.tensors },
      ...convolutions.length > 0 && { convolutions },
      ...projector.channels && { channels: readChannels(reader, projector.channels, rowLength) },
      ...standard !== null && { standard },
      ...rowStages.length > 0 && { rowStages: rowStages.map(({ tensors }) => tensors) },
      ...stages.length > 0 && { stages: stages.map(({ tensors }) => tensors) },
      ...projector.frame && { frame: readFrame(reader, { columns, rowLength }) },
      ...isFirstTransposed && { isFirstTransposed },
      ...{ first, second, ...gate !== null && { gate } },
      ...deep.length > 0 && { deep: deep.map(({ tensors }) => tensors) },
    },
  };
}

function readChannels(
  { checker }: TowerReader,
  name: string,
  length: number,
): NonNullable<ProjectorTensors["channels"]> {
  return {
    kernels: checker.planeKernels(`${name}.weight`, length),
    bias: checker.vector(`${name}.bias`, length),
  };
}

/** Rows and columns that convolutions make one of. */
export function convolvedSide({ convolutions = [] }: VisionKind["projector"]): number {
  return CONVOLUTION.stride ** convolutions.length;
}

function readConvolutions(
  { checker, file, width }: TowerReader,
  names: readonly string[],
): GridConvolutionTensors[] {
  let channels = width;
  return names.map((name) => {
    const rows = file.tensors.get(`${name}.weight`)?.dims[3] ?? 1;
    const matrix = {
      ...checker.kernel(`${name}.weight`, { rows, side: CONVOLUTION.side, channels }),
      bias: checker.has(`${name}.bias`) ? checker.vector(`${name}.bias`, rows) : null,
    };
    channels = rows;
    return { matrix, norm: null };
  });
}

/** What the file has of them. */
function readStages(
  reader: TowerReader,
  { stages, merged, mergeSide, epsilon }:
    & Readonly<Record<"merged" | "mergeSide" | "epsilon", number>>
    & { readonly stages: readonly ProjectorStage[] },
): { readonly config: StageConfig; readonly tensors: StageTensors }[] {
  const { checker, file, width } = reader;
  let columns = merged;
  return stages
    .filter(({ isOptional, matrix }) => !isOptional || checker.has(`${matrix}.weight`))
    .map(({ matrix: name, isKernel, norm, activation }, index) => {
      const of = `${name}.weight`;
      const rows = (isKernel ? file.tensors.get(of)?.dims[3] : checker.rowCount(of)) ?? 1;
      const matrix = isKernel
        ? {
          ...checker.kernel(
            of,
            index === 0 ? { rows, side: mergeSide, channels: width } : {
              ...{ rows, side: 1, channels: columns },
            },
          ),
          bias: checker.vector(`${name}.bias`, rows),
        }
        : matrixOf(reader, name, { rows, columns });
      columns = rows;
      return {
        config: { epsilon: norm && (norm.epsilon ?? epsilon), activation },
        tensors: { matrix, norm: norm && readNorm(reader, norm.tensor, rows) },
      };
    });
}

/** Both of them, or none. */
function readStandard({ checker, width }: TowerReader): ProjectorTensors["standard"] | null {
  const [mean, gains] = ["v.std_bias", "v.std_scale"];
  if (!checker.has(mean) && !checker.has(gains)) return null;
  return { mean: checker.vector(mean, width), gains: checker.vector(gains, width) };
}

function readFrame(
  { kind: { projector: { frame } }, checker }: TowerReader,
  { columns, rowLength }: { readonly columns: number; readonly rowLength: number },
): NonNullable<ProjectorTensors["frame"]> {
  const { lineEnd, begin, end, norm } = frame!;
  return {
    lineEnd: checker.vector(lineEnd, columns),
    begin: checker.vector(begin, rowLength),
    end: checker.vector(end, rowLength),
    norm: readNorm({ checker }, norm, rowLength),
  };
}

/** Of layers that have projectors of their own. */
function readDeep(
  reader: TowerReader,
  { blockCount, rowLength, merged }: {
    readonly blockCount: number;
    readonly rowLength: number;
    readonly merged: number;
  },
): { readonly layer: number; readonly tensors: DeepProjectorTensors }[] {
  const { kind: { deep }, checker } = reader;
  if (deep === null) return [];
  return Array.from({ length: blockCount }, (_, layer) => layer)
    .filter((layer) => checker.has(`${deep}${layer}.fc1.weight`))
    .map((layer) => {
      const at = `${deep}${layer}.`;
      const rows = rowCount(reader, `${at}fc1`);
      const tensors = {
        norm: readNorm(reader, `${at}norm`, merged),
        first: biasedMatrix(reader, `${at}fc1`, { rows, columns: merged }),
        second: biasedMatrix(reader, `${at}fc2`, { rows: rowLength, columns: rows }),
      };
      return { layer, tensors };
    });
}

function projectorNorm(reader: TowerReader, length: number): NormTensors {
  const { tensor } = reader.kind.projector.norm!;
  return tensor === null ? { weight: null, bias: null } : readNorm(reader, tensor, length);
}

/** What comes out is as long as the file's matrix says: the text model's d is not known here. */
function rowCount({ checker }: TowerReader, name: string): number {
  return checker.rowCount(`${name}.weight`) ?? 1;
}

function transposedMatrix({ checker, file }: TowerReader, name: string, rows: number) {
  const columns = file.tensors.get(`${name}.weight`)?.dims[0] ?? 1;
  return checker.matrix(`${name}.weight`, { rows, columns });
}

function matrixOf(
  reader: TowerReader,
  name: string,
  shape: { readonly rows: number; readonly columns: number },
): MatrixTensor {
  const { kind: { projector: { biases } }, checker, file } = reader;
  const matrix = biasedMatrix(reader, name, shape);
  if (biases === "none" && matrix.bias !== null || biases === "required" && matrix.bias === null) {
    if (biases === "required") checker.vector(`${name}.bias`, shape.rows);
    throw formatError(
      file,
      `Cannot use tensor "${name}.bias": projectors of this kind have none: convert the model ` +
        "again",
    );
  }
  return matrix;
}
