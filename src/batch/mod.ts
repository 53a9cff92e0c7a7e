/** The door of `src/batch`: batches of jobs that survive their process, and who works on them. */
export {
  type BatchRecord,
  type BatchStore,
  type FileRecord,
  type JobResult,
  newId,
  type Page,
  type Progress,
  type TakenJob,
  type VersionedBatch,
} from "./batch_store.ts";
export { BatchKeeper } from "./batch_keeper.ts";
export { JobRunner, type RunOutcome } from "./job_runner.ts";
