/** Convolutions over a spectrogram's plane: their tensors, each checked. Knows no layers. */
import { formatError } from "../read/hyperparameters.ts";
import { halvedThrice, KERNEL_SIDE, type PlaneConfig } from "../plane.ts";
import type { MatrixTensor } from "../types.ts";
import { biasedMatrix, type TowerReader } from "../vision/read_tower.ts";

/** More than any file has. */
const CHANNELS_MAX = 4096;

/** What makes rows of a plane. */
export interface PlaneTensors {
  readonly config: PlaneConfig;
  readonly first: MatrixTensor;
  /** Those behind the first one, as `ModelTensors.planeMatrices`. */
  readonly others: readonly MatrixTensor[];
}

/** @throws {ModelFormatError | UnsupportedModelError} when a tensor is missing or another one. */
export function readPlane(
  reader: TowerReader,
  { frames, bands }: { readonly frames: number; readonly bands: number },
): PlaneTensors {
  const { file, checker, width } = reader;
  const channels = file.tensors.get("a.conv2d.1.weight")?.dims[3] ?? 1;
  if (channels > CHANNELS_MAX) {
    throw formatError(
      file,
      `Cannot use tensor "a.conv2d.1.weight": it has ${channels} kernels, at most ` +
        `${CHANNELS_MAX} are possible: convert the model again`,
    );
  }
  const convolution = (number: number, from: number): MatrixTensor => ({
    ...checker.kernel(`a.conv2d.${number}.weight`, {
      ...{ rows: channels, channels: from, side: KERNEL_SIDE },
    }),
    bias: checker.vector(`a.conv2d.${number}.bias`, channels),
  });
  const columns = channels * halvedThrice(bands);
  return {
    config: { frames, rows: halvedThrice(frames), bands, channels },
    first: convolution(1, 1),
    others: [
      ...[convolution(2, channels), convolution(3, channels)],
      biasedMatrix(reader, "a.conv_out", { rows: width, columns }),
    ],
  };
}
