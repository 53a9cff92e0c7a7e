/** The door of `src/batch/nats`: a store of batches in NATS JetStream. */
export { openNatsStore } from "./nats_store.ts";
export { parseQueueAddress, type QueueAddress } from "./queue_address.ts";
