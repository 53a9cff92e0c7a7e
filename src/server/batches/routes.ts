/** Routes of files and batches. */
import type { Route } from "../route.ts";
import {
  batchListQuery,
  batchSchema,
  cancelBatch,
  createBatch,
  listBatches,
  showBatch,
} from "./batches.ts";
import {
  createFile,
  deleteFile,
  fileContent,
  fileForm,
  fileListQuery,
  listFiles,
  showFile,
} from "./files.ts";

export const BATCH_ROUTES: readonly Route[] = [
  {
    method: "POST",
    path: "/v1/files",
    handle: createFile,
    summary: "Keeps a file of requests for a batch",
    form: fileForm,
  },
  {
    method: "GET",
    path: "/v1/files",
    handle: listFiles,
    summary: "Files of the key that asks",
    query: fileListQuery,
  },
  { method: "GET", path: "/v1/files/:id", handle: showFile, summary: "What is known of a file" },
  {
    method: "GET",
    path: "/v1/files/:id/content",
    handle: fileContent,
    summary: "A file's bytes",
    answer: "application/octet-stream",
  },
  { method: "DELETE", path: "/v1/files/:id", handle: deleteFile, summary: "Deletes a file" },
  {
    method: "POST",
    path: "/v1/batches",
    handle: createBatch,
    summary: "Answers the requests of a file when there is time, within a day",
    body: batchSchema,
  },
  {
    method: "GET",
    path: "/v1/batches",
    handle: listBatches,
    summary: "Batches of the key that asks",
    query: batchListQuery,
  },
  { method: "GET", path: "/v1/batches/:id", handle: showBatch, summary: "How far a batch is" },
  {
    method: "POST",
    path: "/v1/batches/:id/cancel",
    handle: cancelBatch,
    summary: "Ends a batch early: what is answered stays",
  },
];
