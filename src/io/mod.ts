/** Reads straight into arenas, by threads of their own or the kernel: what other folders use. */
export {
  Board,
  type BoardSetup,
  createBoard,
  PRIORITY_AHEAD,
  PRIORITY_GATE,
  PRIORITY_UP_DOWN,
} from "./board.ts";
export { type Disk, type FileStamp, openDisk, SECTOR_BYTES_MAX } from "./disk.ts";
export { canReadByKernel, KernelQueue, openKernelQueue } from "./kernel_queue.ts";
export { type MeasuredReads, type MeasureReads, measureReads } from "./measure_reads.ts";
export {
  DONE,
  FAILED,
  NO_TICKET,
  PENDING,
  ReadQueue,
  type ReadQueueOptions,
  type Reads,
  type ReadState,
  SPAN_BYTES_MAX,
} from "./read_queue.ts";
export { ReadServer } from "./serve_reads.ts";
