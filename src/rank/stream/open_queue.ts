/** Where a rank of a packed model asks for reads: threads that read, or the kernel. */
import {
  Board,
  openDisk,
  openKernelQueue,
  ReadQueue,
  type Reads,
  SPAN_BYTES_MAX,
} from "../../io/mod.ts";
import type { RankSetup } from "../open_rank.ts";

/** Where the rank asks for reads. */
export function openQueue(
  { plans, rankIndex, memories }: RankSetup,
  { packed: { path }, board, ioWorkers, stamp }: NonNullable<RankSetup["streams"]>,
): Reads {
  const { gapBytes: gapBytesMax } = plans[rankIndex].stream!;
  const merging = { gapBytesMax, spanBytesMax: SPAN_BYTES_MAX };
  if (ioWorkers > 0) return new ReadQueue(board, rankIndex, { path, ...merging });
  const words = new Board(board);
  const isEnded = () => words.isEnded;
  const disk = openDisk(path, { stamp });
  return openKernelQueue(disk, { memories: memories[rankIndex], isEnded, ...merging });
}
